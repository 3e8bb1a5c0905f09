"""haechi.toml -> everything the gateway is built from. Every mistake is named, not only the first.

    [server]      host, port, workers, body_limit_mib, trusted_proxies, cors_origins
    [database]    url (HAECHI_DATABASE_URL goes before it), journal_dir
    [identity]    openwebui_jwt_secret_env | openwebui_jwt_secret_file, max_stale_s
    [console]     plain_http, idle_minutes, absolute_hours, separated_duties, audit_days
    [limits]      default_max_output_tokens, drain_s, …   [routing] strategy, attempts, retry_for_s, …
    [invoices]    institution_id, rounding, overhead_percent, …   [[plans]] subscriptions to compare with
    [reconciliation] gate, tolerance_percent, tolerance_krw, not_billed, keys, models
    [pricing]     in_database, four_eyes, fx, …   [[prices]] as billing.prices draws them   [[fx]]
    [budgets]     contact, contacts   [rate_limits] valkey_url_env, rules   [side_calls] …   [cache] …
    [notices]     thresholds, forecast, emails, smtp, webhooks (gateway/config_notices.py)
    [review]      store_text, text_days, flag_types, sla_days, …   [review.export] syslog, webhooks, …
    [filter]      in_house_model; [[filter.policies]] as filters.policy reads them, [[filter.rules]]
    [[providers]] name, base_url, wire, profile, zone, api_key_env | api_key_file, proxy_url, ca_bundle, …
    [[models]]    id, name, capabilities, …  [[models.deployments]] provider, upstream_model, price_key, …

A deployment takes from its provider what it does not say itself. Secrets never stand in the file: it names
an environment variable or a file that holds them. Relative paths count from the folder of the file.
Shapes are in gateway/config_schema.py; words for people in gateway/config_mistakes.py.
"""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from billing.price_tables import PriceTableError
from billing.prices import PriceBook
from billing.statements import Terms
from filters.detectors.custom import CustomDetector, CustomRule, CustomRuleError
from filters.errors import PolicyError
from filters.policy import Policy, PolicyBook, default_policy
from gateway.catalogue import Catalogue, Credential, Deployment, Model, Strategy, Timeouts
from gateway.config_invoices import terms_of
from gateway.config_limits import Contacts, RateLimits, contacts_of, rate_limits_of
from gateway.config_mistakes import ConfigError, Mistakes, not_toml
from gateway.config_notices import NoticeSettings, Sources, settings_of
from gateway.config_plans import plans_of
from gateway.config_pricing import PricingRules, rules_of
from gateway.config_reconciliation import Reconciliation, reconciliation_of
from gateway.config_review import review_rules
from gateway.config_review_export import ExportSettings, export_settings
from gateway.config_schema import (
    CacheTable,
    ConsoleTable,
    DeploymentTable,
    Document,
    IdentityTable,
    LimitsTable,
    ModelTable,
    ProviderTable,
    RoutingTable,
    ServerTable,
    SideCallsTable,
)
from gateway.domain import Zone
from gateway.incidents.states import ReviewRules
from gateway.providers import WIRES
from gateway.providers.profiles import PROFILES
from gateway.toml_lines import key_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.plans import Plan
    from gateway.toml_lines import KeyPath

MIN_JWT_SECRET_CHARS = 32


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says, ready to use. `warnings` are (Korean, English) and stop nothing."""

    path: Path
    server: ServerTable
    console: ConsoleTable
    limits: LimitsTable
    routing: RoutingTable
    side_calls: SideCallsTable
    cache: CacheTable
    database_url: str
    journal_dir: Path
    """Where charges are kept on the local disk while the database is away."""
    max_stale_s: float
    catalogue: Catalogue
    price_book: PriceBook
    policies: PolicyBook
    in_house_model: str | None = None
    """Where requests go that only an in-house model may answer; None: they are refused."""
    custom_rules: tuple[CustomRule, ...] = ()
    contacts: Contacts = field(default_factory=Contacts)
    invoices: Terms = field(default_factory=Terms)
    reconciliation: Reconciliation = field(default_factory=Reconciliation)
    pricing: PricingRules = field(default_factory=PricingRules)
    plans: tuple[Plan, ...] = ()
    """Subscriptions to compare with: at least one once a file was read, and the first is `a seat`."""
    rate_limits: RateLimits = field(default_factory=RateLimits)
    notices: NoticeSettings = field(default_factory=NoticeSettings)
    review: ReviewRules = field(default_factory=ReviewRules)
    review_export: ExportSettings = field(default_factory=ExportSettings)
    jwt_secrets: tuple[str, ...] = field(default=(), repr=False)
    warnings: tuple[tuple[str, str], ...] = ()


def load(path: Path, env: Mapping[str, str] = os.environ) -> Config:
    """Read a haechi.toml. Raises ConfigError with every mistake, FileNotFoundError if there is no file."""
    return parse(path.read_bytes(), path, env)


def parse(data: bytes, path: Path, env: Mapping[str, str]) -> Config:
    """Parse the bytes of a haechi.toml that stands, or would stand, at `path`."""
    try:
        text = data.decode("utf-8-sig")
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path, [not_toml(error, data)]) from None
    mistakes = Mistakes(key_lines(text))
    document = _validated(tables, mistakes)
    config = _Builder(document, path, env, mistakes).build() if document else None
    if config is None or mistakes.found:
        raise ConfigError(path, mistakes.found)
    return config


def _validated(tables: dict[str, Any], mistakes: Mistakes) -> Document | None:
    """Return the document, without the keys at fault where it stands without them, else None."""
    try:
        return Document.model_validate(tables)
    except ValidationError as error:
        mistakes.of_validation(error, Document)
        for details in error.errors(include_url=False):
            _drop(tables, details["loc"])
    try:
        return Document.model_validate(tables)
    except ValidationError:
        return None


def _drop(tables: Any, path: KeyPath) -> None:  # noqa: ANN401 - straight from TOML
    """Remove the key at `path`, or the array that holds it: elements keep their indices."""
    keys = list(path)
    while keys and isinstance(keys[-1], int):
        keys.pop()
    for key in keys[:-1]:
        tables = tables[key]
    if keys and isinstance(tables, dict):
        tables.pop(keys[-1], None)


class _Builder:
    """Resolves what refers to what; adds to `mistakes` whatever does not resolve."""

    def __init__(self, document: Document, path: Path, env: Mapping[str, str], mistakes: Mistakes) -> None:
        self.document = document
        self.path = path
        self.env = env
        self.mistakes = mistakes
        self.warnings: list[tuple[str, str]] = []
        self.providers = {provider.name: provider for provider in document.providers}

    def build(self) -> Config:
        document = self.document
        price_book = self._price_book()
        models = self._models(price_book)
        sources = Sources(self._secret, self._file, self.mistakes)
        return Config(
            path=self.path,
            server=document.server,
            console=document.console,
            limits=document.limits,
            contacts=contacts_of(document.budgets),
            invoices=terms_of(document.invoices),
            reconciliation=reconciliation_of(document.reconciliation, document.providers),
            pricing=rules_of(document.pricing),
            plans=self._plans(),
            rate_limits=rate_limits_of(document.rate_limits, self._variable, self.mistakes),
            routing=document.routing,
            side_calls=document.side_calls,
            cache=document.cache,
            database_url=self._database_url(),
            journal_dir=(self._data_folder() / document.database.journal_dir).resolve(),
            max_stale_s=document.identity.max_stale_s,
            catalogue=Catalogue(MappingProxyType(models)),
            price_book=price_book,
            policies=self._policies(),
            in_house_model=self._in_house_model(models),
            custom_rules=self._custom_rules(),
            notices=settings_of(document.notices, sources),
            review=review_rules(document.review),
            review_export=export_settings(document.review.export, sources, self._data_folder()),
            jwt_secrets=self._jwt_secrets(document.identity),
            warnings=tuple(self.warnings),
        )

    # --- models and deployments
    def _models(self, book: PriceBook) -> dict[str, Model]:
        self._refuse_doubles("providers", [provider.name for provider in self.document.providers])
        self._refuse_doubles("models", [model.id for model in self.document.models])
        built = {
            table.id: self._model(table, ("models", i), book)
            for i, table in enumerate(self.document.models)
            if table.enabled
        }
        ids = Counter(deployment.id for model in built.values() for deployment in model.deployments)
        for id_, count in ids.items():
            if count > 1:
                self.mistakes.add(
                    ("models",),
                    f"배포 id '{id_}'이(가) {count}번 나옵니다. id를 따로 정하세요.",
                    f"The deployment id '{id_}' stands {count} times; give each its own id.",
                )
        self._refuse_unknown_models(built)
        return {id_: model for id_, model in built.items() if model.deployments}

    def _refuse_unknown_models(self, models: Mapping[str, Model]) -> None:
        """Every model that another part of the file names must stand in it and be enabled."""
        for index, table in enumerate(self.document.models):
            others = [id_ for id_ in models if id_ != table.id]
            for name in table.fallbacks if table.enabled else ():
                if name not in others:
                    self.mistakes.unknown(("models", index, "fallbacks"), name, others, "[[models]]")
        side = self.document.side_calls.model
        if side is not None and side not in models:
            self.mistakes.unknown(("side_calls", "model"), side, models, "[[models]]")

    def _model(self, table: ModelTable, path: KeyPath, book: PriceBook) -> Model:
        found = [
            self._deployment(table, deployment, (*path, "deployments", j), book)
            for j, deployment in enumerate(table.deployments)
            if deployment.enabled
        ]
        deployments = tuple(deployment for deployment in found if deployment is not None)
        limit, default = table.max_output_tokens, table.default_max_output_tokens
        if limit is not None and default is not None and default > limit:
            self.mistakes.add(
                (*path, "default_max_output_tokens"),
                f"max_output_tokens({limit})보다 클 수 없습니다.",
                f"It cannot be more than max_output_tokens ({limit}).",
            )
        return Model(
            id=table.id,
            name=table.name or table.id,
            owned_by=table.owned_by or (deployments[0].provider if deployments else ""),
            deployments=deployments,
            kind=table.kind,
            capabilities=frozenset(table.capabilities),
            context_tokens=table.context_tokens,
            max_output_tokens=limit,
            default_max_output_tokens=default,
            description=table.description,
            strategy=Strategy(table.strategy) if table.strategy else None,
            fallbacks=tuple(table.fallbacks),
        )

    def _deployment(
        self, model: ModelTable, table: DeploymentTable, path: KeyPath, book: PriceBook
    ) -> Deployment | None:
        provider = self.providers.get(table.provider)
        if provider is None:
            self.mistakes.unknown((*path, "provider"), table.provider, self.providers, "[[providers]]")
            return None
        if not provider.enabled:
            return None
        upstream_model = table.upstream_model or model.id
        price_key = table.price_key or f"{provider.name}/{upstream_model}"
        if price_key not in book.prices and not self.document.pricing.in_database:
            where = (*path, "price_key") if table.price_key else path
            self.mistakes.unknown(where, price_key, book.prices, "[[prices]]")
        zone = table.zone or provider.zone or "external"
        base_url = (table.base_url or provider.base_url).rstrip("/")
        self._warn_plain_http(table.base_url or provider.base_url, zone, provider.name)
        return Deployment(
            id=table.id or f"{model.id}@{provider.name}",
            model_id=model.id,
            provider=provider.name,
            wire=self._wire(table, provider, path),
            profile=self._profile(table, provider, path),
            base_url=base_url,
            upstream_model=upstream_model,
            zone=Zone(zone),
            price_key=price_key,
            credential=self._credential(table, provider, path),
            region=table.region or provider.region or "",
            country=table.country or provider.country or "",
            weight=table.weight,
            timeouts=_timeouts(table, provider),
            max_concurrency=table.max_concurrency,
            requests_per_min=table.requests_per_min,
            proxy_url=table.proxy_url or provider.proxy_url,
            ca_bundle=self._file(table.ca_bundle or provider.ca_bundle, (*path, "ca_bundle")),
            headers=MappingProxyType(provider.headers | table.headers),
            options=MappingProxyType(provider.options | table.options),
            simulated=provider.simulated if table.simulated is None else table.simulated,
        )

    def _wire(self, table: DeploymentTable, provider: ProviderTable, path: KeyPath) -> str:
        wire = table.wire or provider.wire or "openai"
        if wire not in WIRES:
            self.mistakes.unknown((*self._whose(table.wire, provider, path), "wire"), wire, WIRES, "wire")
        return wire

    def _profile(self, table: DeploymentTable, provider: ProviderTable, path: KeyPath) -> str:
        """Return the dialect; only the OpenAI wire has several, elsewhere it is the wire's own name."""
        wire = table.wire or provider.wire or "openai"
        profile = table.profile or provider.profile
        if profile is None:
            return "generic" if wire == "openai" else wire
        if wire == "openai" and profile not in PROFILES:
            where = (*self._whose(table.profile, provider, path), "profile")
            self.mistakes.unknown(where, profile, PROFILES, "profile")
        return profile

    def _whose(self, own: str | None, provider: ProviderTable, path: KeyPath) -> KeyPath:
        return path if own else ("providers", self.document.providers.index(provider))

    def _in_house_model(self, models: Mapping[str, Model]) -> str | None:
        name = self.document.filter.in_house_model
        if name is None:
            return None
        inside = [model.id for model in models.values() if Zone.IN_HOUSE in model.zones]
        if name not in inside:
            self.mistakes.unknown(("filter", "in_house_model"), name, inside, "[[models]] (zone = in_house)")
        return name

    # --- secrets and files

    def _credential(self, table: DeploymentTable, provider: ProviderTable, path: KeyPath) -> Credential:
        own = bool(table.api_key_env or table.api_key_file)
        here = path if own else self._whose(None, provider, path)
        source: DeploymentTable | ProviderTable = table if own else provider
        account = self._file(provider.service_account_file, (*here, "service_account_file"))
        return Credential(
            api_key=self._secret(source.api_key_env, source.api_key_file, here, "api_key"),
            access_key_id=self._variable(provider.access_key_id_env, (*here, "access_key_id_env")),
            secret_access_key=self._variable(
                provider.secret_access_key_env, (*here, "secret_access_key_env")
            ),
            session_token=self._variable(provider.session_token_env, (*here, "session_token_env")),
            service_account=Path(account).read_text(encoding="utf-8") if account else None,
        )

    def _secret(self, variable: str | None, file: str | None, path: KeyPath, stem: str) -> str | None:
        if variable:
            return self._variable(variable, (*path, f"{stem}_env"))
        name = self._file(file, (*path, f"{stem}_file"))
        return Path(name).read_text(encoding="utf-8").strip() if name else None

    def _variable(self, name: str | None, path: KeyPath) -> str | None:
        if name is None:
            return None
        value = self.env.get(name, "").strip()
        if not value:
            self.mistakes.add(
                path,
                f"환경 변수 {name}이(가) 비어 있습니다. 값을 넣거나 enabled = false로 끄세요.",
                f"The environment variable {name} is not set. Set it, or say enabled = false here.",
            )
        return value or None

    def _file(self, name: str | None, path: KeyPath) -> str | None:
        if name is None:
            return None
        file = self.path.parent / name
        if not (file.is_file() and os.access(file, os.R_OK)):
            self.mistakes.add(path, f"파일을 읽을 수 없습니다: {file}", f"Cannot read the file {file}")
            return None
        return str(file)

    def _jwt_secrets(self, table: IdentityTable) -> tuple[str, ...]:
        path: KeyPath = ("identity",)
        secret = self._secret(
            table.openwebui_jwt_secret_env, table.openwebui_jwt_secret_file, path, "openwebui_jwt_secret"
        )
        if secret is not None and len(secret) < MIN_JWT_SECRET_CHARS:
            self.mistakes.add(
                path,
                f"Open WebUI 서명 비밀키가 {MIN_JWT_SECRET_CHARS}자보다 짧습니다."
                " `openssl rand -base64 32`로 만드세요.",
                f"The Open WebUI signing secret has fewer than {MIN_JWT_SECRET_CHARS} characters;"
                " make one with `openssl rand -base64 32`.",
            )
        return (secret,) if secret else ()

    # --- prices, policies, database

    def _price_book(self) -> PriceBook:
        try:
            rules = rules_of(self.document.pricing)
            book = PriceBook.from_tables(
                self.document.prices, self.document.fx, rules.fx_rule, rules.fx_most_days
            )
        except PriceTableError as error:
            self.mistakes.of_prices(error)
            return PriceBook({str(table.get("key")): () for table in self.document.prices}, {})
        self._refuse_missing_rates(book)
        return book

    def _refuse_missing_rates(self, book: PriceBook) -> None:
        for index, table in enumerate(self.document.prices):
            currency = table["currency"]
            if currency != "KRW" and currency not in book.fx and not self.document.pricing.in_database:
                self.mistakes.add(
                    ("prices", index, "currency"),
                    f'{currency}의 환율이 없습니다. [[fx]]에 base = "{currency}"를 더하세요.',
                    f'There is no rate for {currency}. Add an [[fx]] entry with base = "{currency}".',
                )

    def _plans(self) -> tuple[Plan, ...]:
        self._refuse_doubles("plans", [plan.id for plan in self.document.plans])
        return plans_of(self.document.plans, self.document.invoices.seat_krw)

    def _policies(self) -> PolicyBook:
        policies: list[Policy] = [default_policy()]
        for index, table in enumerate(self.document.filter.policies):
            try:
                policies.append(Policy.from_mapping(table))
            except PolicyError as error:
                self.mistakes.of_policy(("filter", "policies", index), error)
        return PolicyBook(policies)

    def _custom_rules(self) -> tuple[CustomRule, ...]:
        """Read the institution's rules; each must find its examples and spare its counterexamples."""
        rules = []
        for index, table in enumerate(self.document.filter.rules):
            rule = CustomRule(**table.model_dump())
            try:
                CustomDetector(rule)
            except CustomRuleError as error:
                korean, _, english = str(error).partition(" / ")
                self.mistakes.add(("filter", "rules", index), korean, english or korean)
            rules.append(rule)
        return tuple(rules)

    def _database_url(self) -> str:
        given = self.env.get("HAECHI_DATABASE_URL") or self.document.database.url
        return anchored(given, self._data_folder())

    def _data_folder(self) -> Path:
        """Return what relative paths of data count from: a container keeps them apart from the file."""
        return Path(self.env.get("HAECHI_DATA_DIR") or self.path.parent)

    def _refuse_doubles(self, array: str, names: Sequence[str]) -> None:
        first: dict[str, int] = {}
        for index, name in enumerate(names):
            if first.setdefault(name, index) != index:
                self.mistakes.add(
                    (array, index),
                    f"'{name}'이(가) {array}[{first[name]}]에 이미 있습니다.",
                    f"'{name}' already stands in {array}[{first[name]}].",
                )

    def _warn_plain_http(self, base_url: str, zone: str, provider: str) -> None:
        host = base_url.removeprefix("http://").split("/")[0].split(":")[0]
        if base_url.startswith("http://") and zone == "external" and host not in ("127.0.0.1", "localhost"):
            warning = (
                f"'{provider}'에 암호화되지 않은 http로 보냅니다. https 주소를 쓰세요.",
                f"'{provider}' is reached over plain http. Use an https address.",
            )
            if warning not in self.warnings:
                self.warnings.append(warning)


def anchored(url: str, folder: Path) -> str:
    """Return a database URL whose relative SQLite path counts from `folder`."""
    scheme, separator, rest = url.partition(":///")
    if not scheme.startswith("sqlite") or not separator or rest.startswith("/") or rest in ("", ":memory:"):
        return url
    return f"{scheme}:///{(folder / rest).resolve()}"


def unpriced(config: Config, now: datetime, book: PriceBook | None = None) -> list[tuple[str, str]]:
    """Return (deployment id, price key) of what has no price or rate in force at `now`.

    `book` is the one in force, where the database holds prices too.
    """
    from billing.prices import NoPrice

    missing = []
    for model in config.catalogue.models.values():
        for deployment in model.deployments:
            try:
                (book or config.price_book).quote(deployment.price_key, now.astimezone(UTC))
            except NoPrice:
                missing.append((deployment.id, deployment.price_key))
    return missing


def _timeouts(table: DeploymentTable, provider: ProviderTable) -> Timeouts:
    chosen = table.timeouts or provider.timeouts
    return Timeouts(**chosen.model_dump()) if chosen else Timeouts()
