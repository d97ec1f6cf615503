//! Quantiles of Student's t for 95 % intervals.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Half the width of a 95 % interval in standard errors, for these degrees of freedom above 0.
pub fn t95(degrees: f64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, degrees).expect("BUG: degrees of freedom are above 0");
    t.inverse_cdf(0.975)
}
