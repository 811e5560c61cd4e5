"""Made pairs of an export and a target schema, as data teams meet them: ten domains, described fields, typed values.

The other sets have names and rows but no descriptions, types or formats. Here each target is a JSON Schema with
descriptions, each source a table as a business system exports it (short names, another language, other systems'
words), with columns that belong to no field and fields that have no column. Values are made by seeded generators; no
real person or company is in them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ROWS = 60

_FIRST = [
    "Ada",
    "Ben",
    "Clara",
    "Dmitri",
    "Elena",
    "Farid",
    "Grace",
    "Hugo",
    "Ines",
    "Jamal",
    "Kira",
    "Liam",
    "Mona",
    "Nils",
    "Olga",
    "Pedro",
    "Quinn",
    "Rosa",
    "Sven",
    "Tara",
]
_LAST = [
    "Abbott",
    "Becker",
    "Costa",
    "Duval",
    "Eriksen",
    "Fontaine",
    "Garcia",
    "Haddad",
    "Ito",
    "Jansen",
    "Keller",
    "Lopez",
    "Meyer",
    "Novak",
    "Okafor",
    "Petrov",
    "Rossi",
    "Silva",
    "Tanaka",
    "Weber",
]
_CITIES = [
    "Berlin",
    "Lyon",
    "Madrid",
    "Turin",
    "Boston",
    "Austin",
    "Leeds",
    "Porto",
    "Ghent",
    "Oslo",
    "Graz",
    "Cork",
]
_STREETS = [
    "Oak Street",
    "Main Road",
    "Hill Lane",
    "Lindenweg",
    "Rue du Port",
    "Elm Avenue",
    "Market Square",
    "Via Roma",
]
_WORDS = [
    "steel",
    "cable",
    "filter",
    "pump",
    "valve",
    "sensor",
    "bracket",
    "panel",
    "hinge",
    "gasket",
    "motor",
    "relay",
    "switch",
    "lamp",
    "cover",
]
_COMPANIES = [
    "Nordwind Logistics",
    "Acme Tools",
    "Blue Harbour Ltd",
    "Kestrel Foods",
    "Orbis GmbH",
    "Sunline SA",
    "Tessera Labs",
    "Verdant Inc",
]
_COUNTRIES = ["DE", "FR", "ES", "IT", "US", "GB", "PT", "BE", "NO", "AT"]


def _day(rng: random.Random, low: int, high: int) -> tuple[int, int, int]:
    return rng.randint(low, high), rng.randint(1, 12), rng.randint(1, 28)


GENERATORS: dict[str, Callable[[random.Random, int], str]] = {
    "first": lambda rng, _: rng.choice(_FIRST),
    "last": lambda rng, _: rng.choice(_LAST),
    "full": lambda rng, _: f"{rng.choice(_FIRST)} {rng.choice(_LAST)}",
    "email": lambda rng, _: f"{rng.choice(_FIRST)}.{rng.choice(_LAST)}@example.com".lower(),
    "phone": lambda rng, _: f"+49 {rng.randint(100, 999)} {rng.randint(1000000, 9999999)}",
    "city": lambda rng, _: rng.choice(_CITIES),
    "street": lambda rng, _: f"{rng.randint(1, 199)} {rng.choice(_STREETS)}",
    "zip": lambda rng, _: f"{rng.randint(10000, 99999)}",
    "country": lambda rng, _: rng.choice(_COUNTRIES),
    "company": lambda rng, _: rng.choice(_COMPANIES),
    "serial": lambda _, row: str(10000 + row),
    "code": lambda rng, _: f"{rng.choice('ABCDEF')}{rng.randint(100, 999)}-{rng.randint(10, 99)}",
    "day": lambda rng, _: "{:04}-{:02}-{:02}".format(*_day(rng, 2019, 2025)),
    "old_day": lambda rng, _: "{2:02}.{1:02}.{0:04}".format(*_day(rng, 1940, 2004)),
    "slash_day": lambda rng, _: "{1:02}/{2:02}/{0:04}".format(*_day(rng, 2020, 2025)),
    "moment": lambda rng, _: "{:04}-{:02}-{:02}T{:02}:{:02}:00Z".format(*_day(rng, 2020, 2025), rng.randint(0, 23), rng.randint(0, 59)),
    "clock": lambda rng, _: f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}",
    "money": lambda rng, _: f"{rng.uniform(5, 5000):.2f}",
    "euro": lambda rng, _: f"{rng.uniform(5, 5000):.2f}".replace(".", ","),
    "small": lambda rng, _: str(rng.randint(1, 20)),
    "count": lambda rng, _: str(rng.randint(0, 500)),
    "share": lambda rng, _: f"{rng.uniform(0, 1):.3f}",
    "percent": lambda rng, _: f"{rng.randint(0, 25)}%",
    "year": lambda rng, _: str(rng.randint(1990, 2025)),
    "age": lambda rng, _: str(rng.randint(18, 90)),
    "height": lambda rng, _: str(rng.randint(150, 200)),
    "weight": lambda rng, _: f"{rng.uniform(45, 120):.1f}",
    "temperature": lambda rng, _: f"{rng.uniform(-5, 38):.1f}",
    "humidity": lambda rng, _: f"{rng.uniform(20, 99):.0f}",
    "pressure": lambda rng, _: f"{rng.uniform(980, 1040):.1f}",
    "systolic": lambda rng, _: str(rng.randint(95, 180)),
    "diastolic": lambda rng, _: str(rng.randint(55, 110)),
    "lat": lambda rng, _: f"{rng.uniform(36, 60):.5f}",
    "lon": lambda rng, _: f"{rng.uniform(-9, 25):.5f}",
    "flag": lambda rng, _: rng.choice(["Y", "N"]),
    "bool": lambda rng, _: rng.choice(["true", "false"]),
    "gender": lambda rng, _: rng.choice(["M", "F"]),
    "sex": lambda rng, _: rng.choice(["male", "female"]),
    "currency": lambda rng, _: rng.choice(["EUR", "USD", "GBP"]),
    "status": lambda rng, _: rng.choice(["open", "paid", "overdue", "cancelled"]),
    "order_status": lambda rng, _: rng.choice(["NEW", "SHIPPED", "DELIVERED", "RETURNED"]),
    "product": lambda rng, _: f"{rng.choice(_WORDS)} {rng.choice(_WORDS)}",
    "text": lambda rng, _: " ".join(rng.choice(_WORDS) for _ in range(6)),
    "department": lambda rng, _: rng.choice(["Sales", "Finance", "IT", "HR", "Operations"]),
    "job": lambda rng, _: rng.choice(["Clerk", "Engineer", "Analyst", "Manager", "Driver"]),
    "iban": lambda rng, _: f"DE{rng.randint(10, 99)}{rng.randint(10**17, 10**18 - 1)}",
    "uuid": lambda rng, _: f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-4{rng.getrandbits(12):03x}-8{rng.getrandbits(12):03x}-{rng.getrandbits(48):012x}",
    "url": lambda rng, row: f"https://shop.example.com/p/{rng.choice(_WORDS)}-{row}",
    "icd": lambda rng, _: f"{rng.choice('CEIJK')}{rng.randint(10, 99)}.{rng.randint(0, 9)}",
    "blood": lambda rng, _: rng.choice(["A+", "A-", "B+", "O+", "O-", "AB+"]),
    "airport": lambda rng, _: rng.choice(["FRA", "MUC", "LHR", "CDG", "JFK", "MAD", "LIS", "OSL"]),
    "airline": lambda rng, _: rng.choice(["LH", "BA", "AF", "IB", "TP"]),
    "tail": lambda rng, _: f"D-A{rng.choice('IJKLM')}{rng.choice('ABCDE')}{rng.choice('XYZ')}",
    "minutes": lambda rng, _: str(rng.randint(-20, 180)),
    "ip": lambda rng, _: ".".join(str(rng.randint(1, 254)) for _ in range(4)),
    "severity": lambda rng, _: rng.choice(["low", "medium", "high", "critical"]),
    "plate": lambda rng, _: f"{rng.choice('BMHK')}-{rng.choice('AXR')}{rng.choice('EBT')} {rng.randint(10, 9999)}",
    "grade": lambda rng, _: rng.choice(["A", "B", "C", "D", "F"]),
}  # fmt: skip
"""What makes the values of a source column."""


@dataclass(frozen=True)
class MadePair:
    """An export and the schema it is to be mapped to.

    Attributes:
        name: The domain.
        source: The columns of the export, and what makes their values.
        target_schema: The wanted records.
        truth: Source column and target field that belong together.
    """

    name: str
    source: tuple[tuple[str, str], ...]
    target_schema: dict[str, Any]
    truth: frozenset[tuple[str, str]]

    def rows(self) -> list[list[str]]:
        """The export's records; the same at each call."""
        rng = random.Random(self.name)
        columns = [[GENERATORS[made](rng, row) for row in range(ROWS)] for _, made in self.source]
        return [list(record) for record in zip(*columns, strict=True)]


_TYPES = {
    "i": {"type": "integer"}, "n": {"type": "number"}, "b": {"type": "boolean"}, "s": {"type": "string"},
    "d": {"type": "string", "format": "date"}, "t": {"type": "string", "format": "date-time"},
    "e": {"type": "string", "format": "email"}, "u": {"type": "string", "format": "uri"},
    "g": {"type": "string", "format": "uuid"}, "c": {"type": "string", "format": "time-local"},
}  # fmt: skip


def _pair(name: str, target: str, source: str) -> MadePair:
    """A pair from its text: `field type|options description` and `column generator field?`, a line each."""
    properties: dict[str, Any] = {}
    for line in target.strip().splitlines():
        field, kind, description = line.split(None, 2)
        schema: dict[str, Any] = (
            dict(_TYPES[kind]) if kind in _TYPES else {"type": "string", "enum": kind.split("|")}
        )
        if description != "-":
            schema["description"] = description
        properties[field] = schema
    columns, truth = [], set()
    for line in source.strip().splitlines():
        column, made, *field = (part.strip() for part in line.split(","))
        columns.append((column, made))
        truth.update((column, one) for one in field if one)
    assert all(field in properties for _, field in truth), (name, truth)
    return MadePair(name, tuple(columns), {"type": "object", "properties": properties}, frozenset(truth))


PAIRS: tuple[MadePair, ...] = (
    _pair(
        "customers",
        """
customer_id i The number of the customer in our system.
first_name s Given name of the contact person.
last_name s Family name of the contact person.
company_name s Name of the firm the person works for.
email e Address to which invoices are mailed.
phone_number s Landline with country code.
street_address s Street and house number.
city s Town of the postal address.
postal_code s Zip code of the postal address.
country_code s Two letters by ISO 3166.
created_at t When the customer was entered.
is_active b Whether the customer may place orders.
loyalty_tier gold|silver|bronze Level in the bonus programme.
date_of_birth d -
""",
        """
KdNr, serial, customer_id
Vorname, first, first_name
Nachname, last, last_name
Firma, company, company_name
E-Mail, email, email
Telefon, phone, phone_number
Fax, phone
Strasse, street, street_address
Ort, city, city
PLZ, zip, postal_code
Land, country, country_code
Anlagedatum, slash_day, created_at
Geburtsdatum, old_day, date_of_birth
Bemerkung, text
""",
    ),
    _pair(
        "invoices",
        """
invoice_number s Number printed on the invoice.
invoice_date d Day on which the invoice was issued.
due_date d Day by which it has to be paid.
customer_number s Account of the customer.
purchase_order s The customer's order reference.
net_amount n Sum before tax.
tax_amount n Value added tax in the invoice's currency.
gross_amount n Sum to be paid, tax included.
currency s Currency by ISO 4217.
status open|paid|overdue|cancelled State of payment.
paid_on d Day of the payment, if there was one.
sales_rep s Who sold it.
discount_rate n Share of the price that is deducted.
""",
        """
inv_no, code, invoice_number
inv_dt, day, invoice_date
pay_by, day, due_date
cust_acct, code, customer_number
po_ref, code, purchase_order
amt_excl_vat, money, net_amount
vat, money, tax_amount
amt_incl_vat, money, gross_amount
ccy, currency, currency
stat, status, status
printed, flag
batch_id, serial
""",
    ),
    _pair(
        "employees",
        """
employee_id i Personnel number.
full_name s -
job_title s -
department s -
manager_id i Personnel number of the superior.
hire_date d First day of work.
termination_date d Last day of work.
annual_salary n Gross pay per year.
office_location s City of the office.
work_email e -
gender M|F -
birth_date d -
""",
        """
EMPNO, serial, employee_id
ENAME, full, full_name
JOB, job, job_title
MGR, serial, manager_id
HIREDATE, day, hire_date
SAL, money, annual_salary
COMM, money
DEPT, department, department
LOC, city, office_location
EMAIL_ADDR, email, work_email
SEX, gender, gender
DOB, old_day, birth_date
COST_CTR, code
""",
    ),
    _pair(
        "orders",
        """
order_id g Key of the order.
ordered_at t When it was placed.
buyer_email e -
sku s Stock keeping unit of the article.
product_name s -
quantity i Units ordered.
unit_price n Price of one unit.
line_total n Quantity times price.
shipping_cost n -
shipping_method s -
order_status NEW|SHIPPED|DELIVERED|RETURNED -
ship_city s Town of delivery.
ship_country s Country of delivery.
tracking_url u Page of the parcel service.
coupon_code s -
""",
        """
OrderGUID, uuid, order_id
PurchaseTimestamp, moment, ordered_at
CustomerMail, email, buyer_email
ItemNumber, code, sku
ItemDescription, product, product_name
Qty, small, quantity
PricePerItem, money, unit_price
Subtotal, money, line_total
Freight, money, shipping_cost
State, order_status, order_status
DeliveryCity, city, ship_city
DeliveryCountry, country, ship_country
TrackingLink, url, tracking_url
Warehouse, code
GiftWrap, bool
""",
    ),
    _pair(
        "patients",
        """
patient_id s Medical record number.
given_name s -
family_name s -
birth_date d -
administrative_gender male|female -
body_height n In centimetres.
body_weight n In kilograms.
systolic_pressure i Upper blood pressure, mm Hg.
diastolic_pressure i Lower blood pressure, mm Hg.
primary_diagnosis s Code by ICD-10.
admission_date d Day on which the patient came.
discharge_date d Day on which the patient left.
attending_physician s -
blood_type s -
allergies s -
""",
        """
MRN, code, patient_id
PatFirst, first, given_name
PatLast, last, family_name
DOB, old_day, birth_date
Sex, sex, administrative_gender
Ht_cm, height, body_height
Wt_kg, weight, body_weight
BP_sys, systolic, systolic_pressure
BP_dia, diastolic, diastolic_pressure
ICD10, icd, primary_diagnosis
AdmDt, day, admission_date
DischDt, day, discharge_date
AttDoc, full, attending_physician
Ward, code
InsuranceNo, serial
""",
    ),
    _pair(
        "weather_stations",
        """
station_id s -
measured_at t Time of the measurement.
air_temperature n Degrees Celsius.
relative_humidity n Percent.
air_pressure n Hectopascal at sea level.
wind_speed n Metres per second.
wind_direction i Degrees from north.
precipitation_amount n Millimetres in the last hour.
latitude n -
longitude n -
elevation n Metres above sea level.
battery_level n -
""",
        """
stn, code, station_id
obs_time, moment, measured_at
t_air, temperature, air_temperature
rh, humidity, relative_humidity
p_msl, pressure, air_pressure
ff, weight
dd, height
rain_1h, share, precipitation_amount
lat, lat, latitude
lng, lon, longitude
alt_m, count, elevation
qc, small
""",
    ),
    _pair(
        "bank_transactions",
        """
transaction_id s -
booking_date d -
value_date d -
amount n Positive for credits, negative for debits.
currency_code s -
debtor_name s Who pays.
creditor_name s Who receives.
creditor_account s IBAN of the receiver.
remittance_information s Purpose of the payment.
balance_after n -
transaction_type s -
""",
        """
Umsatz-ID, serial, transaction_id
Buchungstag, slash_day, booking_date
Wertstellung, slash_day, value_date
Betrag, euro, amount
Waehrung, currency, currency_code
Auftraggeber, full, debtor_name
Beguenstigter, company, creditor_name
IBAN Empfaenger, iban, creditor_account
Verwendungszweck, text, remittance_information
Saldo, euro, balance_after
Gebucht von, first
""",
    ),
    _pair(
        "flights_ops",
        """
flight_number s -
airline_code s Two characters by IATA.
departure_airport s IATA code of the airport of departure.
arrival_airport s IATA code of the airport of arrival.
scheduled_departure t -
actual_departure t -
scheduled_arrival t -
actual_arrival t -
departure_delay_minutes i -
aircraft_registration s -
gate s -
passengers_boarded i -
seat_capacity i -
""",
        """
flt_no, serial, flight_number
al, airline, airline_code
dep_ap, airport, departure_airport
arr_ap, airport, arrival_airport
std, moment, scheduled_departure
atd, moment, actual_departure
sta, moment, scheduled_arrival
ata, moment, actual_arrival
dep_dly_min, minutes, departure_delay_minutes
tail_no, tail, aircraft_registration
pax, count, passengers_boarded
cap, count, seat_capacity
rmk, text
""",
    ),
    _pair(
        "tickets",
        """
ticket_id i -
title s Short summary of the issue.
body s Full description of the issue.
severity low|medium|high|critical -
state s -
opened_at t -
closed_at t -
reporter_email e Who reported the issue.
assignee s Who works on it.
affected_product s -
source_ip s Address from which it was sent.
resolution_hours n -
labels s -
""",
        """
id, serial, ticket_id
subject, product, title
description, text, body
priority, severity, severity
status, status, state
created, moment, opened_at
resolved, moment, closed_at
requester, email, reporter_email
owner, full, assignee
component, product, affected_product
ip_addr, ip, source_ip
votes, small
url, url
""",
    ),
    _pair(
        "inventory",
        """
item_number s -
item_description s -
brand s Maker of the article.
category s -
quantity_on_hand i -
reorder_point i Stock level at which to order again.
unit_cost n -
list_price n Price in the catalogue.
weight_kg n -
barcode s EAN or UPC.
supplier_name s -
last_counted d Day of the last stocktaking.
warehouse_code s -
is_discontinued b -
""",
        """
Artikelnr, code, item_number
Bezeichnung, product, item_description
Hersteller, company, brand
Warengruppe, department, category
Bestand, count, quantity_on_hand
Meldebestand, small, reorder_point
Einkaufspreis, euro, unit_cost
Verkaufspreis, euro, list_price
Gewicht, weight, weight_kg
EAN, serial, barcode
Lieferant, company, supplier_name
Letzte Inventur, day, last_counted
Lager, code, warehouse_code
Regal, small
""",
    ),
    _pair(
        "students",
        """
student_number s -
name s Full name.
enrolled_on d -
programme s Course of study.
semester i -
grade_point_average n -
credits_earned i -
thesis_title s -
advisor s Professor who supervises.
university_email e -
home_country s -
scholarship b Whether the student gets one.
""",
        """
matric_no, serial, student_number
stud_name, full, name
enrol_date, day, enrolled_on
degree_prog, department, programme
term, small, semester
gpa, share, grade_point_average
ects, count, credits_earned
supervisor, full, advisor
mail, email, university_email
citizenship, country, home_country
scholarship_yn, flag, scholarship
dorm, code
""",
    ),
    _pair(
        "fleet",
        """
vehicle_id s -
license_plate s -
vin s -
make s -
model s -
model_year i -
odometer_km n Distance driven so far.
fuel_type s -
last_service d -
next_inspection d -
driver_name s -
position_latitude n -
position_longitude n -
purchase_price n -
""",
        """
unit_no, code, vehicle_id
reg_plate, plate, license_plate
chassis_number, code, vin
manufacturer, company, make
mdl, product, model
yr, year, model_year
mileage, count, odometer_km
fuel, department, fuel_type
svc_date_last, day, last_service
insp_due, day, next_inspection
driver, full, driver_name
gps_lat, lat, position_latitude
gps_lon, lon, position_longitude
acq_cost, money, purchase_price
leased, flag
""",
    ),
)
