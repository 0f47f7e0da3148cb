"""Loading YAML and environment as one frozen ``Config``, or reporting all mistakes at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from msgspec import Struct, field, inspect
from msgspec.structs import fields, replace

from proxy.config import aliases, document
from proxy.config.address_schema import service_url
from proxy.config.advice import doubtful_addresses
from proxy.config.aliases import Report
from proxy.config.budget_advice import unknown_subjects
from proxy.config.checks import is_url, kinds, list_url
from proxy.config.environment import CONFIG_PATH, Environment, gather
from proxy.config.exposure import open_to_pages
from proxy.config.known_providers import HOSTED, KNOWN_PROVIDERS, completed, implied
from proxy.config.left_out import Absence, LeftOutModel, absences, left_out, what_to_set, without
from proxy.config.mistakes import Mistakes, join, near, quoted
from proxy.config.price_document import PriceDocument
from proxy.config.provider_schema import ModelsFile
from proxy.config.proxies import unusable
from proxy.config.reader import BROKEN, ConfigReader, type_at
from proxy.config.schema import Admin, Auth, Config, ServerSettings
from proxy.config.sections import between, idle
from proxy.config.variables import BY_NAME
from proxy.errors import ConfigError

DEFAULT_PATH = Path("config/config.yaml")
MODELS_NAME = "models.yaml"  # of the usual file with models, beside the configuration

_CONFIG = inspect.type_info(Config)
_MODELS = inspect.type_info(ModelsFile)


class Loaded(Struct, frozen=True):
    """A loaded configuration. ``notices``: lines for the log. ``path``: ``None`` for built-in defaults.

    Providers that are disabled or without a key, and what refers to them, are not in ``config``; their models are in
    ``left_out``. ``variables`` reports the known environment variables. ``prices``: those at ``pricesUrl``, which
    ``Source`` fetches; ``None``: the shipped ones.
    """

    config: Config
    notices: list[str]
    path: Path | None = None
    variables: Report = field(default_factory=Report)
    left_out: tuple[LeftOutModel, ...] = ()
    prices: PriceDocument | None = None


class Draft(Struct, frozen=True):
    """A configuration file that was read and not checked yet; ``mistakes`` are those of reading it.

    ``raw``: the YAML, with known providers completed. ``implied``: it has no ``providers`` section, so all known
    providers with a key are in ``raw``. ``models``: a file or URL with further models; ``""``: none, or an invalid URL.
    """

    path: Path | None
    raw: dict[Any, Any]
    gathered: Environment
    mistakes: list[str]
    models: str
    implied: bool = False

    @property
    def environment(self) -> Mapping[str, str]:
        return self.gathered.variables

    @property
    def models_url(self) -> str:
        return self.models if is_url(self.models) else ""


def load(path: Path | None, environ: Mapping[str, str], env_file: Path | None = None) -> Loaded:
    """Load ``path``, else ``ROUTER_CONFIG_PATH``, else ``config/config.yaml`` if it exists, else defaults.

    ``environ`` overrides ``env_file``. Raises ``ConfigError`` with all mistakes. Does not fetch a model list from a
    URL; ``Source`` does.
    """
    return check(read(path, environ, env_file))


def read(path: Path | None, environ: Mapping[str, str], env_file: Path | None = None) -> Draft:
    """The first half of ``load``. Raises ``ConfigError`` if nothing can be read."""
    mistakes = Mistakes()
    gathered = gather(environ, env_file, mistakes)
    if path is None:
        path = _default_path(gathered.variables)
    raw = document.read(path, mistakes) if path is not None else {}
    if raw is None:
        _with_variables({}, gathered.variables, mistakes)
        raise ConfigError(mistakes)
    is_implied = raw.get("providers") is None
    raw = {**raw, "providers": implied() if is_implied else completed(raw["providers"])}
    return Draft(path, raw, gathered, mistakes, _models_at(raw, path, gathered.variables), is_implied)


def check(draft: Draft, listed: bytes | None = None) -> Loaded:
    """The second half of ``load``; ``listed`` is the model list from the URL. Raises ``ConfigError``."""
    mistakes = Mistakes(draft.mistakes)
    variables = _with_variables(draft.raw, draft.environment, mistakes)
    absent, notices = absences(variables.raw.get("providers"), draft.environment)
    if draft.implied:
        notices = []  # these providers are not configured explicitly
    notices += variables.notices
    reading = _Reading(draft, variables, listed, absent)
    config, used, left = _config(reading, notices, mistakes)
    if mistakes:
        raise ConfigError(mistakes)
    for path, value in variables.over.items():
        config = _replaced(config, path.split("."), value)
    report = _reported(draft, variables, absent, used)
    config = _without_database(without(config, absent, notices), draft.raw, notices)
    if broken := unusable(_urls(config), draft.environment):
        raise ConfigError(broken)
    notices += [*doubtful_addresses(config), *open_to_pages(config), *_unread_models(draft)]
    notices += unknown_subjects(config, [each.name for each in left], draft.raw["providers"] or ())
    return Loaded(config, notices, draft.path, report, left)


def _unread_models(draft: Draft) -> Iterator[str]:
    """A notice for a list of models beside the file, which looks as if it were read."""
    beside = draft.path.parent / MODELS_NAME if draft.path is not None else None
    if beside is not None and draft.raw.get("modelsFile") is None and beside.is_file():
        yield f"modelsFile is not set, so {beside} is not read; modelsFile: ./{MODELS_NAME} reads it"


def listener(path: Path | None, environ: Mapping[str, str], env_file: Path | None = None) -> ServerSettings:
    """The section ``server`` of what ``load`` loads, without checking the rest. Raises ``ConfigError``."""
    server: ServerSettings = _section("server", path, environ, env_file)
    return server


def control_plane(path: Path | None, environ: Mapping[str, str], env_file: Path | None = None) -> Admin:
    """The section ``admin``, like ``listener``."""
    admin: Admin = _section("admin", path, environ, env_file)
    return admin


def authentication(path: Path | None, environ: Mapping[str, str], env_file: Path | None = None) -> Auth:
    """The section ``auth``, like ``listener``."""
    auth: Auth = _section("auth", path, environ, env_file)
    return auth


def _section(name: str, path: Path | None, environ: Mapping[str, str], env_file: Path | None) -> Any:
    draft = read(path, environ, env_file)
    mistakes = Mistakes(draft.mistakes)
    variables = _with_variables(draft.raw, draft.environment, mistakes)
    label, folder = str(draft.path or ""), draft.path.parent if draft.path is not None else Path()
    reader = ConfigReader(label, mistakes, draft.environment, kinds(folder, None), origins=variables.origins)
    found = reader.read(type_at(_CONFIG, name), variables.raw.get(name) or {}, name)
    if mistakes:
        raise ConfigError(mistakes)
    for place, value in variables.over.items():
        section, _, rest = place.partition(".")
        if section == name:
            found = _replaced(found, rest.split("."), value)
    return found


def _urls(config: Config) -> Iterator[str]:
    """All HTTP URLs that the gateway connects to by itself."""
    for provider in config.providers.values():
        yield from (address for address in provider.addresses if service_url(address) is None)
    for service in config.services.values():
        yield from (address.url for address in service.addresses)
    if config.auth.jwt is not None and config.auth.jwt.jwks_url:
        yield config.auth.jwt.jwks_url
    if config.observe.tracing.enabled:
        yield config.observe.tracing.endpoint
    if "://" in config.observe.sentry.dsn:
        yield config.observe.sentry.dsn
    for webhook in config.events.webhooks:
        yield webhook.url


def _replaced(struct: Any, path: list[str], value: Any) -> Any:
    key, *rest = path
    name = next(each.name for each in fields(struct) if each.encode_name == key)
    return replace(struct, **{name: _replaced(getattr(struct, name), rest, value) if rest else value})


def _reported(draft: Draft, variables: aliases.Settings, absent: Mapping[str, Absence], used: frozenset[str]) -> Report:
    """The report on variables, including those that the file and the providers refer to."""
    report, gathered = variables.report, draft.gathered
    serving = {name for name in draft.raw["providers"] or () if name not in absent}
    keys = [known.key_variable for name, known in HOSTED.items() if name in serving]
    report.in_force += [key for key in keys if key in used and gathered.variables.get(key)]
    known = used | frozenset(BY_NAME) | {name.lower() for name in BY_NAME if name.endswith("_PROXY")}
    report.not_understood += [name for name in gathered.file if name not in known]
    report.placeholders += [name for name in gathered.placeholders if name in known]
    return report


def bare(url: str) -> str:
    """A URL for messages, without its query, user and password."""
    scheme, separator, rest = url.partition("?")[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def _models_at(raw: dict[Any, Any], path: Path | None, environment: Mapping[str, str]) -> str:
    folder = path.parent if path is not None else Path()

    def place(text: str) -> str:
        return list_url(text) if is_url(text) else str(folder / text) if text else ""

    # ``check`` reports mistakes later, including a missing file.
    reader = ConfigReader("", Mistakes(), environment, kinds(folder, None) | {"file or url": place})
    expected = next(field.type for field in cast(Any, _CONFIG).fields if field.name == "models_file")
    found = reader.read(expected, raw.get("modelsFile"), "")
    return "" if found is BROKEN else str(found)


def _default_path(environment: Mapping[str, str]) -> Path | None:
    if named := environment.get(CONFIG_PATH):
        return Path(named)
    return DEFAULT_PATH if DEFAULT_PATH.is_file() else None


def _with_variables(raw: dict[Any, Any], environment: Mapping[str, str], mistakes: Mistakes) -> aliases.Settings:
    reader = ConfigReader(aliases.LABEL, mistakes, {}, kinds(Path(), None))
    return aliases.apply(raw, environment, _CONFIG, reader, mistakes)


class _Reading(Struct, frozen=True):
    """Input of ``_config``: ``fetched`` is the list from the URL, ``absent`` the providers not in use."""

    draft: Draft
    variables: aliases.Settings
    fetched: bytes | None
    absent: Mapping[str, Absence]


def _config(
    reading: _Reading, notices: list[str], mistakes: Mistakes
) -> tuple[Config, frozenset[str], tuple[LeftOutModel, ...]]:
    """The configuration with all models, the variables that it refers to, and the models to leave out.

    Mistakes are replaced by defaults.
    """
    draft, fetched, absent = reading.draft, reading.fetched, reading.absent
    raw, path, environment = reading.variables.raw, draft.path, draft.environment
    label = str(path or "")
    folder = path.parent if path is not None else Path()
    providers = raw.get("providers") or {}
    checks = kinds(folder, {**providers, **KNOWN_PROVIDERS} if isinstance(providers, dict) else None)
    # Variables of unused providers may be unset.
    forgiven = frozenset(join("providers", name) for name in absent)
    keys = {f"providers.{name}.apiKey": known.key_variable for name, known in HOSTED.items()} if draft.implied else {}
    own = ConfigReader(label, mistakes, environment, checks, forgiven, keys | reading.variables.origins)
    config: Config = own.read(_CONFIG, raw, "")
    used = own.used
    left = list(left_out(config.models, absent, label))
    listed = [(label, raw.get("models"))]
    whole = bool(config.models_file) or not raw.get("modelsFile")
    if config.models_file:
        # Content from a URL must not read our variables, nor expand aliases.
        url = draft.models_url
        place = bare(config.models_file)
        if not url:
            more = document.read(Path(place), mistakes)
        elif fetched is not None:
            more = document.parse(fetched, place, mistakes, aliases=False)
        else:
            more = None
            notices.append(f"modelsFile: the list at {place} was not fetched")
        whole = more is not None
        reader = ConfigReader(place, mistakes, None if url else environment, checks)
        listed_models = reader.read(_MODELS, more or {}, "").models
        left += left_out(listed_models, absent, place)
        config = replace(config, models=config.models + listed_models)
        used |= reader.used
        listed.append((place, (more or {}).get("models")))
    _refuse_duplicates(listed, mistakes)
    if whole:
        _check_strategies(config, label, listed, notices if draft.models_url else None, mistakes)
    for complaint in between(config):
        if not any(f": {key}" in mistake for mistake in mistakes for key in complaint.reads):
            own.refuse(complaint.key, complaint.text)
    notices += _admission(config, raw)
    return config, frozenset(used), tuple(left)


def _admission(config: Config, raw: dict[Any, Any]) -> list[str]:
    """Notices about authentication and administration."""
    found = [f"{complaint.key}: {complaint.text}" for complaint in idle(config)]
    admin = raw.get("admin")
    if isinstance(admin, dict) and "token" in admin and not config.admin.token:
        found.append(
            f"admin.token is empty{what_to_set([('token', admin['token'])])}: one is generated at the first start"
        )
    return found


def _without_database(config: Config, raw: dict[Any, Any], notices: list[str]) -> Config:
    """``config`` without the database that it did not ask for, if its packages are missing and there are other keys."""
    asked = config.database.url or (raw.get("database") or {}).get("enabled") is not None
    if asked or not config.auth.keys or config.auth.mode not in ("keys", "any") or find_spec("sqlalchemy"):
        return config
    notices.append(
        "database: SQLAlchemy is not installed, so only the configured keys are valid;"
        " sluice-gateway[database] has it, and database.enabled: false hides this line"
    )
    return replace(config, database=replace(config.database, enabled=False))


def _check_strategies(
    config: Config,
    label: str,
    listed: list[tuple[str, Any]],
    notices: list[str] | None,
    mistakes: Mistakes,
) -> None:
    """Check that ``routing.strategies`` names existing models.

    With a list at a URL it is only a notice, since that list changes independently.
    """
    names = {"auto"}
    for _, models in listed:
        found = [model.get("name") for model in _listed(models)]
        names.update(name for name in found if isinstance(name, str))
    for name in config.routing.strategies:
        if name in names:
            continue
        place, text = join("routing.strategies", name), f"no model {quoted(name)}"
        if notices is None:
            mistakes.add(label, place, text + near(name, names))
        else:
            notices.append(f"{place} has no effect: {text}")


def _listed(models: Any) -> list[dict[Any, Any]]:
    """The entries of a list of models in the YAML. Wrong types are reported elsewhere."""
    return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []


def _refuse_duplicates(listed: list[tuple[str, Any]], mistakes: Mistakes) -> None:
    """Refuse two models of one provider with the same name: responses could not be attributed."""
    first: dict[tuple[str, str], str] = {}
    for label, models in listed:
        for number, model in enumerate(models if isinstance(models, list) else []):
            name, provider = (model.get("name"), model.get("provider")) if isinstance(model, dict) else (0, 0)
            if not isinstance(name, str) or not isinstance(provider, str):
                continue  # reported elsewhere
            place = f"models[{number}]"
            if before := first.get((name, provider)):
                same = before.removeprefix(f"{label}: ")
                mistakes.add(label, place, f"the same name and provider as {same}")
            else:
                first[name, provider] = f"{label}: {place}"
