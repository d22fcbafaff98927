"""`python -m deepmine <verb>` is `deepmine <verb>`."""

from deepmine.cli import main

main()
