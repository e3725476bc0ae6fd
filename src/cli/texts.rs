//! Texts from the table of options: the manual page, the completions of shells, and an error.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

/// The manual page, in roff. There is one page for all commands.
pub(super) fn man(command: Command) -> Vec<u8> {
    let command = visible(command.disable_help_subcommand(true));
    let names: Vec<String> =
        command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let mut page = Vec::new();
    Man::new(command).render(&mut page).expect("memory takes any text");
    let mut page = String::from_utf8_lossy(&page).into_owned();
    for name in names {
        page = page.replace(&format!("tenkay\\-{name}(1)"), &format!("tenkay {name}"));
    }
    page.into_bytes()
}

/// The script that completes the commands and options in this shell.
pub(super) fn completions(shell: Shell, command: Command) -> Vec<u8> {
    let (mut command, mut script) = (visible(command), Vec::new());
    clap_complete::generate(shell, &mut command, "tenkay", &mut script);
    script
}

/// The command without the hidden arguments of its subcommands.
fn visible(command: Command) -> Command {
    command.mut_subcommands(|subcommand| {
        let shown = |argument: &&Arg| !argument.is_hide_set();
        let arguments: Vec<Arg> = subcommand.get_arguments().filter(shown).cloned().collect();
        let about = subcommand.get_about().cloned().unwrap_or_default();
        Command::new(subcommand.get_name().to_owned()).about(about).args(arguments)
    })
}

/// Takes a second ROOT for what it is: the parser takes it for a command.
pub(super) fn two_roots(error: clap::Error) -> clap::Error {
    let word = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) if error.kind() == ErrorKind::ArgumentConflict => word,
        _ => return error,
    };
    let is_command = super::Args::command().get_subcommands().any(|it| it.get_name() == word);
    let what = match is_command {
        true => format!("the command '{word}' must be the first word"),
        false => {
            format!("'{word}' is one word too many: tenkay serves one folder, and ROOT is there")
        }
    };
    super::invalid(&what)
}
