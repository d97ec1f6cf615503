//! Quantiles of Student's t.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Half the width of a 95 % interval in standard errors, for these degrees of freedom above 0.
pub fn t95(degrees: f64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, degrees).expect("BUG: degrees of freedom are above 0");
    t.inverse_cdf(0.975)
}

/// The quantile of Student's t at a probability between 0 and 1, for these degrees of freedom above 0.
pub fn t_quantile(probability: f64, degrees: f64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, degrees).expect("BUG: degrees of freedom are above 0");
    t.inverse_cdf(probability)
}
