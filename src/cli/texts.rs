//! Texts from the table of options: the manual page and the completions of shells.

use clap::{Arg, Command};
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
