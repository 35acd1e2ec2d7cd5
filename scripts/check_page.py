"""Check the types in the chat page's JavaScript, which are in its comments, by TypeScript.

TypeScript is fetched with npx. Without npm nothing is checked, and that is said; where
BACKDROP_REQUIRE_BROWSER promises that nothing is missing, it is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAIN = ROOT / "deployments" / "ingress" / "http" / "page" / "main.js"
TYPESCRIPT = "typescript@5.9.3"
OPTIONS = (
    *("--allowJs", "--checkJs", "--strict", "--noEmit", "--target", "es2023"),
    *("--lib", "es2023,dom,dom.iterable", "--module", "esnext", "--moduleResolution", "bundler"),
)


def main() -> int:
    """Check all modules that the page loads; the exit status."""
    npx = shutil.which("npx")
    if npx is None:
        print("check_page: npm is not installed: the page's types are not checked")
        return 1 if os.environ.get("BACKDROP_REQUIRE_BROWSER") else 0
    command = [npx, "--yes", "--package", TYPESCRIPT, "tsc", *OPTIONS, str(MAIN)]
    done = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - what is named above
    print(f"check_page: {'all is well' if done.returncode == 0 else 'the types are wrong'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
