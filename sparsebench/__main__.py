"""``python -m sparsebench``, the same as ``sparsebench``."""

from sparsebench.cli import main

if __name__ == "__main__":
    main()
