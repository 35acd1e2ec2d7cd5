"""`python -m deployments.launch`: the `backdrop` command."""

from __future__ import annotations

from deployments.launch.command import main

if __name__ == "__main__":
    main()
