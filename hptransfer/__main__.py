"""`python -m hptransfer` is the same program as `hptransfer`."""

from hptransfer.cli.app import main

if __name__ == "__main__":
    main()
