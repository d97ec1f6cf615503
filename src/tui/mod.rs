//! Training as it happens: what a look at growing logs keeps, and how it stands on a screen of characters.
//!
//! [`tail`] reads a file that grows, [`standing`] says how each run stands and what has changed,
//! [`view`] is what the user chose to see, [`chart`], `table` and [`frame`] lay it out, [`ink`] knows the colours
//! that a terminal has, and [`text`] turns a frame into lines. Nothing here prints or waits: the
//! terminal, its keys and the clock are the command line's.

pub mod chart;
pub mod frame;
pub mod ink;
pub mod standing;
mod table;

pub mod text;
pub mod view;
