//! What a user should know about logs that were read.

/// Something a user should know about logs that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A problem that did not stop the reading.
    Warning(String),
    /// A fact.
    Info(String),
    /// A detail.
    Verbose(String),
    /// How many files of scanned directories hold no entropy; a `Verbose` before it names each of them.
    WithoutEntropy(usize),
    /// How many logs are left out as further records of runs; a `Verbose` before it names those of each run.
    OtherRecords(usize),
    /// Files of scanned directories that look like logs and are not recognised.
    NotRecognised(Vec<String>),
    /// How many runs do not match the pattern of training stages.
    WithoutStage(usize),
}
