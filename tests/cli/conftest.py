"""Runs the real command line in this process: arguments in, exit code and both outputs out."""

import io
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

import orjson
import pytest

from gateway.cli import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return orjson.loads(self.out)

    def ok(self):
        assert self.code == 0, f"{self.code}\n{self.out}\n{self.err}"
        return self


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("HAECHI_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def haechi(monkeypatch, capfdbinary):
    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "argv", ["haechi", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capfdbinary.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capfdbinary.readouterr()
        return Ran(code, out.decode(), err.decode())

    return run


UNITS = """\
code,name,kind,parent_code,valid_from
SEOUL,서울특별시,institution,,2026-01-01
HJ,행정국,bureau,SEOUL,2026-01-01
CM,총무과,division,HJ,2026-01-01
IS,인사과,division,HJ,2026-01-01
"""
PEOPLE = """\
employee_id,name,email,department_code,valid_from
S1,김해치,kim@seoul.example,CM,2026-01-01
S2,이광화,lee@seoul.example,IS,2026-01-01
"""
MODELS = """
[[providers]]
name = "city"
base_url = "http://127.0.0.1:9/v1"
zone = "in_house"

[[models]]
id = "city-llm"
name = "시 모델"
deployments = [{ provider = "city", price_key = "city" }]

[[prices]]
key = "city"
from = 2026-01-01
currency = "KRW"
input = "100"
output = "300"
source = "https://example.go.kr/prices"
"""


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """Two folders made once: after `haechi init`, and with two divisions and two people as well."""
    folder = tmp_path_factory.mktemp("template")
    config = folder / "installed/haechi.toml"
    make("init", folder / "installed")
    config.write_text(config.read_text() + MODELS)
    shutil.copytree(folder / "installed", folder / "staffed")
    for register, text in (("departments", UNITS), ("people", PEOPLE)):
        file = folder / f"staffed/{register}.csv"
        file.write_text(text)
        make(register, "import", file, "--config", folder / "staffed/haechi.toml")
    return folder


def make(*arguments):
    command = [sys.executable, "-c", "from gateway.cli import main; main()", *map(str, arguments)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("HAECHI_")}
    subprocess.run(command, check=True, capture_output=True, env=env)


@pytest.fixture
def installed(template, tmp_path):
    """A folder after `haechi init`, with one in-house model; it is the working folder."""
    shutil.copytree(template / "installed", tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def staffed(template, tmp_path):
    """The same with two divisions and two people."""
    shutil.copytree(template / "staffed", tmp_path, dirs_exist_ok=True)
    return tmp_path
