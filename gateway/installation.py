"""What `haechi init` lays down: a configuration, a secret of 0600, an up-to-date database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.config import parse
from gateway.keyring import new_secret_file
from gateway.settings import Settings
from gateway.store.database import migrate

if TYPE_CHECKING:
    from pathlib import Path

CONFIG_FILE = "haechi.toml"


class AlreadyThere(Exception):
    """A file that `initialise` would have to overwrite."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path


@dataclass(frozen=True, slots=True)
class Installation:
    settings: Settings
    created: tuple[Path, ...]
    migrations: tuple[str, ...]


def initialise(
    folder: Path, *, config_text: str | None = None, settings: Settings | None = None
) -> Installation:
    """Lay down what a gateway needs in `folder`, creating it.

    A secret that is already there, in the file or in HAECHI_SECRET_KEY, is kept if it is strong. Raises
    AlreadyThere for a haechi.toml, keyring.SecretError for a weak secret, config.ConfigError for a
    `config_text` with mistakes (before anything is written).
    """
    folder.mkdir(parents=True, exist_ok=True)
    config_path = folder / CONFIG_FILE
    if config_path.exists():
        raise AlreadyThere(config_path)
    here = (settings or Settings()).model_copy(update={"config": config_path})
    created = [config_path]
    if here.secret_key is None and not here.secret_path.exists():
        new_secret_file(here.secret_path)
        created.append(here.secret_path)
    here.keyring()
    text = config_text if config_text is not None else DEFAULT_CONFIG
    config = parse(text.encode(), config_path, here.variables())
    config_path.write_text(text, encoding="utf-8")
    return Installation(here, tuple(created), tuple(migrate(config.database_url)))


DEFAULT_CONFIG = """\
# Haechi 설정 파일 / Haechi's configuration. 자세한 설명: docs/configuration.md
# 확인: haechi check-config    점검: haechi doctor    비밀키는 이 파일에 쓰지 않습니다.

[server]
host = "127.0.0.1"        # 다른 컴퓨터에서 쓰려면 0.0.0.0과 앞단의 TLS / behind TLS for other machines
port = 8080
workers = 1               # 코어마다 하나: "auto" / one per core
body_limit_mib = 32
trusted_proxies = []      # 예: ["10.0.0.0/8"] — X-Forwarded-For를 믿을 프록시
cors_origins = []         # 예: ["https://chat.example.go.kr"] — 기본은 모두 거절

[database]
url = "sqlite:///haechi.db"   # 여러 서버라면 postgresql://… (HAECHI_DATABASE_URL이 우선)

[identity]
# Open WebUI의 FORWARD_USER_INFO_HEADER_JWT_SECRET과 같은 값을 담은 환경 변수
# openwebui_jwt_secret_env = "OPENWEBUI_JWT_SECRET"
max_stale_s = 60

# --- 제공자 / providers -------------------------------------------------------------------------
# [[providers]]
# name = "openai"
# profile = "openai"
# base_url = "https://api.openai.com/v1"
# api_key_env = "OPENAI_API_KEY"
# zone = "external"
#
# [[providers]]
# name = "city-llm"
# profile = "vllm"
# base_url = "http://10.0.0.20:8000/v1"
# zone = "in_house"

# --- 모델 / models ------------------------------------------------------------------------------
# [[models]]
# id = "gpt-5.1"
# name = "GPT-5.1"
# capabilities = ["vision", "tools"]
# max_output_tokens = 128000
# default_max_output_tokens = 8192
#
#   [[models.deployments]]
#   provider = "openai"
#   price_key = "openai/gpt-5.1"

# --- 단가와 환율 / prices and rates (100만 토큰당 / per 1,000,000 tokens) --------------------------
# [[prices]]
# key = "openai/gpt-5.1"
# from = 2026-01-01
# currency = "USD"
# input = "1.25"
# cache_read = "0.125"
# output = "10"
# source = "https://openai.com/api/pricing"
# checked = 2026-11-22
# verified = true
#
# [[fx]]
# base = "USD"
# quote = "KRW"
# date = 2026-11-20
# rate = "1391.20"
# source = "서울외국환중개 매매기준율"
"""
