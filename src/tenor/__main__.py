"""`python -m tenor`, which is also what torchrun starts."""

from tenor.cli import main

if __name__ == "__main__":
    main()
