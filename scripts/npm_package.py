"""Make the npm package of the JavaScript client: its module, its types, and a package.json.

    python scripts/npm_package.py --out dist/npm

The types come from the comments of client.js, by TypeScript, which is fetched with npx unless --tsc
names one. Nothing is published.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "deployments" / "ingress" / "http" / "page" / "client.js"
TYPESCRIPT = "typescript@5.9.3"
OPTIONS = [
    *("--allowJs", "--checkJs", "--strict", "--declaration", "--emitDeclarationOnly"),
    *("--target", "es2022", "--lib", "es2023,dom,dom.iterable", "--module", "nodenext"),
]

README = """# Backdrop's client

Client of Backdrop's HTTP API, for pages and for Node.js: one module without dependencies.

```js
import { BackdropClient } from "backdrop-client";

const client = new BackdropClient({ baseUrl: "http://127.0.0.1:8000" });
const { images } = await client.generate({ image, prompt: "Forest", model: "stable-diffusion" });
```
"""


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "npm")
    parser.add_argument("--tsc", type=Path, help="the compiler to use")
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    module = shutil.copy(CLIENT, options.out / "client.js")
    # A file of JavaScript is a module only beside a package.json that says so.
    (options.out / "package.json").write_text(json.dumps(package(), indent=2) + "\n")
    npx = ["npx", "--yes", "--package", TYPESCRIPT, "tsc"]
    tsc = npx if options.tsc is None else [str(options.tsc)]
    done = subprocess.run([*tsc, *OPTIONS, str(module)], check=False)  # noqa: S603 - what is named
    if done.returncode != 0:
        shutil.rmtree(options.out)
        sys.exit("npm_package: the types of client.js could not be made")
    shutil.copy(ROOT / "LICENSE", options.out)
    (options.out / "README.md").write_text(README)
    print(f"npm_package: {options.out}: {', '.join(sorted(p.name for p in options.out.iterdir()))}")


def package() -> dict[str, object]:
    """The package.json, with the version and the licence of this project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "name": "backdrop-client",
        "version": project["version"],
        "description": "Client of Backdrop's HTTP API: product-image variations",
        "license": project["license"],
        "type": "module",
        "sideEffects": False,
        "exports": {".": {"types": "./client.d.ts", "default": "./client.js"}},
        "types": "./client.d.ts",
        "files": ["client.js", "client.d.ts"],
        "engines": {"node": ">=20"},
    }


if __name__ == "__main__":
    main()
