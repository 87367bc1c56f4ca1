"""Command line of gan-nas."""


def main() -> None:
    """Run the command line."""
