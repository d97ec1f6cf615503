//! The terminal view of `watch`: the status of growing runs, and its layout on a grid of characters.
//!
//! [`run_status`] computes the status of each run and its changes; [`view`] holds the user's choices; [`frame`]
//! lays out a [`scene`] with `panels` and a `table`, in the colours of a [`palette`]; a [`grid`] has the places of the
//! panels, each with a [`chart`] of [`braille`] curves; [`ansi`] turns a frame into lines
//! of text. Nothing here prints or waits: terminal, keys and clock belong to the command line.

pub mod ansi;
pub mod braille;
pub mod chart;
pub mod frame;
pub mod grid;
pub mod marks;
pub mod mouse;
pub mod pace;
pub mod palette;
mod panels;
pub mod quantity;
pub mod rows;
pub mod run_status;
pub mod scene;
pub mod styles;
pub mod table;
pub mod view;
