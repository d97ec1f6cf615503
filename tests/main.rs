//! All integration tests of the program in one binary: linking once takes seconds, twenty times takes minutes.

#![allow(clippy::unwrap_used)]

mod common;

#[cfg(unix)]
mod action;
mod arguments;
mod backends;
mod beside;
#[cfg(target_os = "linux")]
mod cases;
mod cli;
mod compare;
mod explain;
#[cfg(unix)]
mod graphics;
mod groups;
mod labels;
#[cfg(target_os = "linux")]
mod launcher;
mod law;
mod layers;
mod logs;
#[cfg(unix)]
mod notify;
mod panels;
#[cfg(unix)]
mod peers;
mod readers;
#[cfg(target_os = "linux")]
mod readme;
#[cfg(target_os = "linux")]
mod recipes;
#[cfg(unix)]
mod record;
mod report;
mod run_config;
#[cfg(unix)]
mod serve;
mod shapes;
mod states;
mod tokens;
mod tokens_command;
#[cfg(unix)]
mod torture;
mod transparent;
#[cfg(unix)]
mod watch;
mod watch_view;
mod windows;
