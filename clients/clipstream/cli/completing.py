"""`clipstream completion`: what the shell needs to complete our words."""

import click
from click.shell_completion import get_completion_class

from clipstream.cli.options import examples

INSTALLING = examples(
    "clipstream completion bash > ~/.local/share/bash-completion/completions/clipstream",
    "clipstream completion zsh > ~/.zfunc/_clipstream      # with fpath+=~/.zfunc before compinit in ~/.zshrc",
    "clipstream completion fish > ~/.config/fish/completions/clipstream.fish",
)


@click.command("completion", epilog=INSTALLING)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print the completion script of your shell; a new shell has it once it is in its folder."""
    completion = get_completion_class(shell)
    if completion is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(completion(context.find_root().command, {}, "clipstream", "_CLIPSTREAM_COMPLETE").source())
