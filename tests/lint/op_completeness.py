"""Every op of include/taut/ops/lists/ has a reference row in tests/ops/references.h and a docstring in
python/taut/_docs.py."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r"^TAUT_(UNARY|ACTIVATION|PREDICATE|BINARY|COMPARE)\((\w+),", re.MULTILINE)


def main():
    references = (ROOT / "tests/ops/references.h").read_text()
    docs = (ROOT / "python/taut/_docs.py").read_text()
    missing = []
    count = 0
    for path in sorted((ROOT / "include/taut/ops/lists").glob("*.def")):
        for match in ROW.finditer(path.read_text()):
            name = match.group(2)
            count += 1
            where = f"{path.relative_to(ROOT)}: {name}"
            if f'{{"{name}",' not in references:
                missing.append(f"{where} has no reference row; add one to tests/ops/references.h")
            if not re.search(rf'["\'.]{name}["\']', docs):
                missing.append(f"{where} has no docstring; add one to python/taut/_docs.py")
    for line in missing:
        print(line)
    print(f"op_completeness: {count} ops, {len(missing)} finding(s)")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
