"""`python -m gan_nas` is `gan-nas`."""

from gan_nas.cli import main

if __name__ == "__main__":
    main()
