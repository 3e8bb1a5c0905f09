"""The tables and keys of haechi.toml: types, bounds, defaults. docs/configuration.md explains them.

Shapes only: what refers to what, and the values the gateway works with, are in gateway/config.py.
`[[prices]]` and `[[fx]]` are read by billing, `[[filter.policies]]` by filters; they pass through here.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from gateway.cores import AUTO, MOST_WORKERS, workers_of


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError(
            "IP 주소나 대역이어야 합니다(예: 10.0.0.0/8)."
            " / It must be an address or network, e.g. 10.0.0.0/8."
        ) from None
    return text


def _workers(word: object) -> object:
    if isinstance(word, str) and word != AUTO:
        raise ValueError('정수나 "auto"여야 합니다. / It must be a whole number or "auto".')
    return workers_of(word)


Network = Annotated[str, AfterValidator(_network)]
Positive = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(min_length=1, max_length=120)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,119}$")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
Origin = Annotated[str, Field(pattern=r"^https?://[^\s/*]+$")]
EmailAddress = Annotated[str, Field(pattern=r"^[^@\s<>,;:\"]{1,64}@[A-Za-z0-9.-]{1,253}$")]
WorkingDays = Annotated[int, Field(ge=0, le=366)]
EntityType = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,39}$")]
Percent = Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,4})?$")]
"""Text, because a TOML number with a point is a float."""
ZoneWord = Literal["external", "in_house"]
Kind = Literal["chat", "embedding", "image", "speech", "transcription", "video"]
StrategyWord = Literal["weighted", "least_busy", "lowest_latency", "cheapest"]
Capability = Literal["vision", "tools", "reasoning", "structured_output", "image", "video", "audio", "search"]


Workers = Annotated[int, Field(ge=1, le=MOST_WORKERS), BeforeValidator(_workers)]
"""A number, or `auto`: one for each processor."""


class TomlTable(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ServerTable(TomlTable):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    workers: Workers = 1
    body_limit_mib: int = Field(default=32, ge=1, le=1024)
    trusted_proxies: list[Network] = []
    cors_origins: list[Origin] = []


class DatabaseTable(TomlTable):
    url: str = "sqlite:///haechi.db"
    journal_dir: str = "journal"


class IdentityTable(TomlTable):
    openwebui_jwt_secret_env: str | None = None
    openwebui_jwt_secret_file: str | None = None
    max_stale_s: float = Field(default=60.0, ge=1, le=3600)


class ConsoleTable(TomlTable):
    """The console: sessions, separated duties, how long its access audit is kept."""

    enabled: bool = True
    plain_http: bool = False
    idle_minutes: int = Field(default=30, ge=1, le=1440)
    absolute_hours: int = Field(default=10, ge=1, le=168)
    separated_duties: Literal["refuse", "warn", "off"] = "refuse"
    audit_days: int = Field(default=730, ge=30, le=36_500)


class LimitsTable(TomlTable):
    default_max_output_tokens: int = Field(default=4096, ge=1, le=1_000_000)
    drain_s: float = Field(default=30.0, ge=0, le=600)
    drain_tokens: int = Field(default=2_000, ge=0, le=1_000_000)
    stalled_reader_s: float = Field(default=60.0, ge=1, le=3600)
    keepalive_s: float = Field(default=0.0, ge=0, le=600)
    queue_length: int = Field(default=64, ge=0, le=10_000)
    queue_s: float = Field(default=5.0, ge=0, le=600)
    shutdown_s: int = Field(default=30, ge=1, le=3600)
    video_poll_s: float = Field(default=2.0, ge=0.05, le=60)
    rollups_s: float = Field(default=5.0, ge=0.1, le=3600)


class BudgetsTable(TomlTable):
    """Whom to ask when a budget is used up, by unit code; docs/budgets.md."""

    contact: str = ""
    contacts: dict[str, str] = {}


class InvoicesTable(TomlTable):
    """Invoices: how they are numbered, rounded and added to; docs/billing.md."""

    institution_id: Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9-]{0,19}$")] = "HAECHI"
    institution_name: str = ""
    issuer_name: str = ""
    rounding: Literal["won", "ten_won"] = "ten_won"
    overhead_percent: Percent = "0"
    overhead_krw: int = Field(default=0, ge=0, le=1_000_000_000)
    vat_percent: Percent = "0"
    seat_krw: int = Field(default=30_000, ge=1, le=10_000_000)
    four_eyes: bool = False


class ReconciliationTable(TomlTable):
    """Providers' bills against the ledger, and whether a month may be locked without; docs/billing.md."""

    gate: Literal["off", "warn", "refuse"] = "off"
    tolerance_percent: Percent = "0.5"
    tolerance_krw: int = Field(default=1_000, ge=0, le=1_000_000_000)
    not_billed: list[Name] = []
    keys: dict[Name, Name] = {}
    models: dict[Name, Name] = {}


class PlanTable(TomlTable):
    """A subscription that use is compared with; docs/savings.md."""

    id: Identifier
    name: Name
    monthly_krw: int = Field(ge=1, le=10_000_000)
    yearly_discount_percent: Annotated[str, Field(pattern=r"^\d{1,2}(\.\d{1,4})?$")] = "0"
    minimum_seats: int = Field(default=1, ge=1, le=1_000_000)
    models: list[Name] = []
    requests: int | None = Field(default=None, ge=1, le=10_000_000)
    includes: str = ""


class PricingTable(TomlTable):
    """Where prices come from and which exchange rate holds; docs/pricing.md."""

    in_database: bool = False
    four_eyes: bool = False
    fx: Literal["last", "monthly"] = "last"
    fx_most_days: int = Field(default=0, ge=0, le=3650)
    differs_percent: Percent = "10"


class RateRuleTable(TomlTable):
    name: Name
    per: list[Literal["key", "person", "department", "model"]] = []
    requests_per_min: int = Field(default=0, ge=0, le=10_000_000)
    tokens_per_min: int = Field(default=0, ge=0, le=100_000_000)
    keys: list[Name] = []
    people: list[Name] = []
    departments: list[Name] = []
    models: list[Name] = []


class RateLimitsTable(TomlTable):
    """docs/rate-limits.md explains them."""

    valkey_url: str | None = None
    valkey_url_env: str | None = None
    rules: list[RateRuleTable] = []


class RoutingTable(TomlTable):
    strategy: StrategyWord = "weighted"
    attempts: int = Field(default=3, ge=1, le=20)
    retry_for_s: float = Field(default=90.0, ge=0, le=3600)
    pause_most_s: float = Field(default=10.0, ge=0, le=600)
    retry_cost_krw: int = Field(default=500, ge=0, le=1_000_000)
    backoff_s: float = Field(default=0.2, ge=0, le=60)
    backoff_most_s: float = Field(default=4.0, ge=0, le=600)
    breaker_failures: int = Field(default=5, ge=1, le=1000)
    breaker_open_s: float = Field(default=5.0, gt=0, le=600)
    breaker_open_most_s: float = Field(default=60.0, gt=0, le=3600)
    breaker_alone_s: float = Field(default=2.0, gt=0, le=600)


class SideCallsTable(TomlTable):
    header: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,80}$")] = "x-openwebui-task"
    model: str | None = None
    tasks: list[Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]] | None = None


class CacheTable(TomlTable):
    enabled: bool = False
    ttl_s: float = Field(default=600.0, gt=0, le=86_400)
    most_entries: int = Field(default=1_000, ge=1, le=1_000_000)
    most_mib: int = Field(default=64, ge=1, le=10_000)


class SmtpTable(TomlTable):
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: int | None = Field(default=None, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: EmailAddress
    username: str | None = None
    password_env: str | None = None
    password_file: str | None = None
    ca_bundle: str | None = None
    timeout_s: float = Field(default=10.0, gt=0, le=60)


class WebhookTable(TomlTable):
    name: Identifier
    url: HttpUrl
    secret_env: str | None = None
    secret_file: str | None = None
    scopes: list[Annotated[str, Field(pattern=r"^(unit|person|key):.+$")]] = []
    ca_bundle: str | None = None
    timeout_s: float = Field(default=10.0, gt=0, le=60)


class NoticesTable(TomlTable):
    thresholds: list[Annotated[int, Field(ge=1, le=100)]] = [50, 80, 100]
    forecast: bool = True
    check_s: float = Field(default=30.0, ge=1, le=3600)
    tries: int = Field(default=12, ge=1, le=100)
    first_pause_s: float = Field(default=30.0, ge=1, le=3600)
    emails: list[EmailAddress] = []
    smtp: SmtpTable | None = None
    webhooks: list[WebhookTable] = []


class ReviewSlaTable(TomlTable):
    """Korean working days until a verdict is due, by severity."""

    critical: WorkingDays = 1
    high: WorkingDays = 2
    medium: WorkingDays = 5
    low: WorkingDays = 10


class ReviewSyslogTable(TomlTable):
    """A SIEM that takes incidents by syslog over TLS (RFC 5425)."""

    name: Identifier
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: int = Field(default=6514, ge=1, le=65535)
    format: Literal["cef", "ocsf", "json"] = "cef"
    severity: Literal["low", "medium", "high", "critical"] = "low"
    ca_bundle: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    timeout_s: float = Field(default=10.0, gt=0, le=60)


class ReviewWebhookTable(TomlTable):
    name: Identifier
    url: HttpUrl
    format: Literal["json", "ocsf", "cef"] = "json"
    severity: Literal["low", "medium", "high", "critical"] = "low"
    secret_env: str | None = None
    secret_file: str | None = None
    ca_bundle: str | None = None
    timeout_s: float = Field(default=10.0, gt=0, le=60)


class ReviewExportTable(TomlTable):
    """Where incidents are sent; docs/security-exports.md explains it."""

    check_s: float = Field(default=15.0, ge=0.1, le=3600)
    tries: int = Field(default=12, ge=1, le=100)
    first_pause_s: float = Field(default=30.0, ge=0.1, le=3600)
    dead_letters: str = "incident-dead-letters.jsonl"
    weekly_to: list[EmailAddress] = []
    syslog: list[ReviewSyslogTable] = []
    webhooks: list[ReviewWebhookTable] = []


class ReviewTable(TomlTable):
    """Review of what the filter stopped; docs/security-review.ko.md explains it."""

    store_text: bool = False
    text_days: int = Field(default=30, ge=1, le=1825)
    text_most_characters: int = Field(default=2_000_000, ge=1_000, le=2_000_000)
    flag_types: list[EntityType] | None = None
    flag_findings: int = Field(default=10, ge=0, le=10_000)
    sla_days: ReviewSlaTable = ReviewSlaTable()
    reveal_minutes: int = Field(default=10, ge=1, le=480)
    two_person_text: bool = False
    own_incident: Literal["refuse", "flag"] = "refuse"
    own_department: Literal["refuse", "flag"] = "flag"
    exception_days_most: int = Field(default=180, ge=1, le=1825)
    cipher: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    export: ReviewExportTable = ReviewExportTable()


class RuleTable(TomlTable):
    """A pattern or word list of the institution; filters.detectors.custom explains the keys."""

    name: Identifier
    type: EntityType
    patterns: list[str] = []
    words: list[Name] = []
    examples: list[str] = []
    counterexamples: list[str] = []
    score: float = Field(default=0.9, gt=0, le=1)
    label: str = ""
    gates: list[str] = []
    recognizer: str = ""


class FilterTable(TomlTable):
    in_house_model: str | None = None
    policies: list[dict[str, Any]] = []
    rules: list[RuleTable] = []


class TimeoutsTable(TomlTable):
    connect_s: Positive = 5.0
    first_byte_s: Positive = 60.0
    idle_s: Positive = 60.0
    total_s: Positive = 600.0


class _Reach(TomlTable):
    """What a deployment may set differently from its provider; None takes the provider's."""

    wire: str | None = None
    profile: str | None = None
    zone: ZoneWord | None = None
    region: str | None = None
    country: str | None = None
    proxy_url: HttpUrl | None = None
    ca_bundle: str | None = None
    timeouts: TimeoutsTable | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    headers: dict[str, str] = {}
    options: dict[str, Any] = {}


class ProviderTable(_Reach):
    name: Identifier
    base_url: HttpUrl
    enabled: bool = True
    simulated: bool = False
    access_key_id_env: str | None = None
    secret_access_key_env: str | None = None
    session_token_env: str | None = None
    service_account_file: str | None = None


class DeploymentTable(_Reach):
    provider: str
    id: Identifier | None = None
    upstream_model: Name | None = None
    price_key: Name | None = None
    base_url: HttpUrl | None = None
    weight: int = Field(default=1, ge=0, le=1000)
    max_concurrency: int = Field(default=0, ge=0)
    requests_per_min: int = Field(default=0, ge=0)
    simulated: bool | None = None
    enabled: bool = True


class ModelTable(TomlTable):
    id: Identifier
    deployments: list[DeploymentTable] = Field(min_length=1)
    name: Name | None = None
    owned_by: str | None = None
    kind: Kind = "chat"
    capabilities: list[Capability] = []
    context_tokens: int | None = Field(default=None, gt=0)
    max_output_tokens: int | None = Field(default=None, gt=0)
    default_max_output_tokens: int | None = Field(default=None, gt=0)
    description: str = ""
    strategy: StrategyWord | None = None
    fallbacks: list[str] = []
    enabled: bool = True


class Document(TomlTable):
    server: ServerTable = ServerTable()
    database: DatabaseTable = DatabaseTable()
    identity: IdentityTable = IdentityTable()
    console: ConsoleTable = ConsoleTable()
    limits: LimitsTable = LimitsTable()
    budgets: BudgetsTable = BudgetsTable()
    invoices: InvoicesTable = InvoicesTable()
    reconciliation: ReconciliationTable = ReconciliationTable()
    pricing: PricingTable = PricingTable()
    plans: list[PlanTable] = Field(default=[], max_length=8)
    rate_limits: RateLimitsTable = RateLimitsTable()
    routing: RoutingTable = RoutingTable()
    side_calls: SideCallsTable = SideCallsTable()
    cache: CacheTable = CacheTable()
    filter: FilterTable = FilterTable()
    notices: NoticesTable = NoticesTable()
    review: ReviewTable = ReviewTable()
    providers: list[ProviderTable] = []
    models: list[ModelTable] = []
    prices: list[dict[str, Any]] = []
    fx: list[dict[str, Any]] = []
