"""The program's entry. It loads the command line only when it is run.

Worker processes import this module when they start; they must not pay for the command line and the web framework.
"""


def main() -> None:
    """Run the command line."""
    from modelkeep.cli import run

    run()


if __name__ == "__main__":
    main()
