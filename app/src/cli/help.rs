//! Help pages, made from the tables that the parser reads.

use std::fmt::Write as _;

use super::{COMMANDS, Command, Opt};

/// Column where an option's sentence begins.
const COLUMN: usize = 28;

/// Widest line.
const WIDTH: usize = 100;

/// The program's page.
pub(super) fn program() -> String {
    let mut page = String::from(
        "Pentimento makes and repairs pictures with diffusion models, offline.\n\n\
         Usage: pentimento [COMMAND] [OPTIONS]\n\nCommands:\n",
    );
    for command in COMMANDS {
        row(&mut page, command.name, command.about);
    }
    row(&mut page, "help COMMAND", "Show the options of a command.");
    page.push_str("\nWithout a command the window opens.\n");
    groups(&mut page, COMMANDS[0]);
    page
}

/// One command's page.
pub(super) fn command(command: &Command) -> String {
    let mut page = format!(
        "{}\n\nUsage: pentimento {} {}\n",
        command.about, command.name, command.usage
    );
    groups(&mut page, command);
    let notes = (command.notes)();
    if !notes.is_empty() {
        page.push('\n');
        page.push_str(&notes);
    }
    page
}

fn groups(page: &mut String, command: &Command) {
    for (heading, options) in command.groups {
        page.push('\n');
        page.push_str(heading);
        page.push_str(":\n");
        for option in *options {
            row(page, &left(option), option.help);
        }
    }
    page.push_str("\nGeneral:\n");
    row(page, "-h, --help", "Show this page.");
    row(page, "-V, --version", "Show the program's version.");
}

fn left(option: &Opt) -> String {
    match option.value {
        Some(value) => format!("--{} {value}", option.name),
        None => format!("--{}", option.name),
    }
}

/// Two columns, the second broken between words.
pub(super) fn row(page: &mut String, left: &str, right: &str) {
    let mut line = format!("  {left:width$}", width = COLUMN - 3);
    line.push(' ');
    let indent = " ".repeat(COLUMN);
    for word in right.split(' ') {
        if line.chars().count() + word.chars().count() > WIDTH {
            writeln!(page, "{}", line.trim_end()).ok();
            line.clone_from(&indent);
        }
        line.push_str(word);
        line.push(' ');
    }
    writeln!(page, "{}", line.trim_end()).ok();
}
