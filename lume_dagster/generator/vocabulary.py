"""Words of column names: what abbreviations stand for, what means the same, what excludes each other.

General lists of business and data work, written by hand. Each line of a list is one entry; words are in lower case,
without accents, and a phrase has blanks between its words.
"""

from __future__ import annotations

_ABBREVIATIONS = """
acq acquisition
al airline
ap airport
beguenstigt payee
dia diastolic
excl excluding
insp inspection
obs observation
odo odometer
pat patient
prog program programme
waehr currency
waehrung currency
kd customer
kunden customer
gebucht booked
rechn invoice
lief vendor delivery
abs absolute
acc account
accel acceleration
acct account
act actual
addl additional
addr address
adj adjusted
adm admission
admin administration
agg aggregate
alt altitude alternative
amnt amount
amt amount
anal analysis
ann annual
app application
appl application
approx approximate
appt appointment
apt apartment
arr arrival
art article
assn association
assoc associate
asst assistant
attn attention
attr attribute
auth author authorization
auto automatic
av average
avail available
avg average
avl available
bal balance
bday birthday
bio biological
bin binary
bldg building
blvd boulevard
brnch branch
btch batch
calc calculated
cap capacity
carr carrier
cat category
ccy currency
cd code
cert certificate
chg change
chk check
chrg charge
cls class
clin clinical
cmnt comment
cnt count
cntr center
cntry country
co company
coeff coefficient
col column
coll collection
comm commission comment
comp company
conc concentration
cond condition
conf confirmation
cons consumption
cont contact
conv conversion
coord coordinate
corp corporation
corr correlation
cpn coupon
cr credit
crd card
creat created
ctgry category
ctr center
ctry country
cty city
cur current
curr currency current
cust customer
cyl cylinders
dat data
db database debit
dec decimal
def default
deg degree
del delivery
dep departure
dept department
desc description
descr description
dest destination
dev device
dewp dewpoint
diag diagnosis
diam diameter
diff difference
dim dimension
dir direction
disc discount
disp display
dist distance
distr district
div division
dl delay
dly delay
dob birthdate
doc document
dod deathdate
doj joindate
dow weekday
dr doctor debit
dst destination
dt date
dte date
dttm datetime
dtm datetime
dur duration
ed education
edu education
eff effective
elev elevation
em email
emp employee
employment_dt employment
eng engine
env environment
eq equal
equip equipment
est estimated
eth ethnicity
ev event
evt event
exam examination
exch exchange
exp expiry expense
expt experiment
ext external extension
fam family
fax facsimile
fin final
flg flag
flt flight
fname firstname
fn firstname
fmt format
fr from
freq frequency
frst first
frm from
func function
fwd forward
geo geographic
gen gender
gndr gender
gov government
govt government
gr gross
grp group
gt greater
hdr header
hgt height
hist history
hosp hospital
hr hour
hrs hours
ht height
hum humidity
humid humidity
hw hardware
ident identifier
idx index
img image
imp import
incl included
ind indicator
indiv individual
ind_cd industry
inf information
info information
init initial
ins insurance
inst institution
instr instruction
int interest
intl international
inv invoice
isbn book
iss issue
itm item
jrnl journal
lang language
lat latitude
lbl label
len length
lgth length
lib library
lic license
lim limit
ln line lastname
lname lastname
lng longitude
lnk link
loc location
lon longitude
long longitude
lst last list
lvl level
mang manager
mat material
max maximum
meas measurement
med medication medical
memb member
mfg manufacturer
mfr manufacturer
mfct manufacturer
mgr manager
mi middle miles
mid middle
min minimum minute
misc miscellaneous
mkt market
mktg marketing
mname middlename
mob mobile
mod modified model
mon month
mons months
mnth month
mo month
mrn medicalrecord
msg message
mth month
mtd method
mtg mortgage
nat national
natl national
nb number
nbr number
neg negative
net network
nm name
nme name
no number
nr number
nxt next
num number
obj object
obs observation
occ occupation
occup occupation
opt option
ord order
org organization
orig origin original
os outstanding
oth other
own owner
par parameter
param parameter
pat patient
path pathologic
patho pathologic
pay payment
pct percent
perc percent
percentage percent
perf performance
pers person
pgm program
ph phone
phn phone
phys physical
pic picture
pk primarykey
pkg package
plc place
pmt payment
pn partnumber
pos position
poss possible
post postal
pr price
prc price
prcp precipitation
precip precipitation
pred predicted
pref preferred
pres pressure
press pressure
prev previous
pri primary
prim primary
prin principal
priv private
proc process procedure
prod product
prof profession
prog program
proj project
prop property
prov province provider
prty priority
pub publication
publ publication
pubd published
purch purchase
pwr power
px procedure
pymt payment
qlty quality
qnty quantity
qry query
qt quantity
qtr quarter
qty quantity
quant quantity
rcpt receipt
rcv received
rcvd received
rd road
rec record
recd received
ref reference
refno referencenumber
reg region registration
regd registered
rel relative
rem remaining
rep representative
req request required
res result
resp response
ret return
rev revenue revision
rgn region
rm room
rpt report
rsn reason
rte route
rt rate
rx prescription
sal salary
samp sample
sched scheduled
schd scheduled
sci scientific
scr score
sec second section
sect section
seg segment
sel selected
seq sequence
ser serial
serv service
sgmt segment
sh share
shp ship
shpt shipment
sig signature
sla serviceagreement
slry salary
smpl sample
sn serialnumber
soc social
spd speed
spec specification
sq square
src source
srv service
srvc service
st street state status
sta station
stat status
std standard
stdt startdate
stmt statement
stn station
stock inventory
str street
strt start
sub subject
subcat subcategory
subj subject
subs subscription
suppl supplier
svc service
sw software
sys system systolic
sz size
tbl table
tech technical
tel phone
temp temperature
tempr temperature
ter territory
terr territory
thru through
tm time
tmp temperature
tot total
tr transaction
trans transaction
trn transaction
trx transaction
ts timestamp
tx transaction
txn transaction
txt text
typ type
tz timezone
tzone timezone
univ university
upd updated
usr user
util utilization
val value
var variable
veh vehicle
vend vendor
ver version
visib visibility
vis visibility
vol volume
wd width
wgt weight
whse warehouse
wk week
wrk work
wt weight
xfer transfer
xchg exchange
yob birthyear
yr year
yrs years
zn zone
"""

_ACRONYMS = """
aka also known as
abv alcohol by volume
bmi body mass index
bp blood pressure
cif customer information file
cob close of business
cogs cost of goods sold
cpi consumer price index
dba doing business as
dbp diastolic blood pressure
dob date of birth
dod date of death
doh date of hire
dow day of week
doy day of year
dx diagnosis
ean european article number
eob explanation of benefits
eod end of day
eom end of month
eta estimated time of arrival
etd estimated time of departure
fk foreign key
fx foreign exchange
fy fiscal year
gl general ledger
gmt timezone
gps coordinates
gtin global trade item number
gst goods services tax
hba1c hemoglobin
hcp healthcare provider
hr human resources
hr heart rate
iata airport code
icd diagnosis code
icao airport code
imei device identifier
ip internet address
isbn international standard book number
iso country code
kpi key performance indicator
los length of stay
lei legal entity identifier
mcc merchant category code
mom month over month
moq minimum order quantity
mpg miles per gallon
mpn manufacturer part number
mrn medical record number
mrp maximum retail price
msrp manufacturer suggested retail price
mtd month to date
naics industry code
ndc national drug code
npi national provider identifier
nps net promoter score
pan card number
pcp primary care physician
pii personal information
pin postal code
pnl profit loss
po purchase order
poc point of contact
pob place of birth
poi point of interest
qoh quantity on hand
qtd quarter to date
rbc red blood cells
roi return on investment
rrp recommended retail price
sbp systolic blood pressure
sic industry code
sku stock keeping unit
soh stock on hand
sqft square feet
ssn social security number
ata actual arrival
atd actual departure
rh relative humidity
std scheduled departure
sta scheduled arrival
tin tax identification number
uom unit of measure
upc universal product code
uri website
url website
vat value added tax
vin vehicle identification number
wbc white blood cells
yob year of birth
yoy year over year
ytd year to date
"""

# Each line: what means the same, separated by commas; a phrase counts as one word.
_SYNONYMS = """
first name, firstname, given name, givenname, forename, christian name, vorname, prenom, nombre de pila, voornaam, primeiro nome, first, pat first, vorn
last name, lastname, surname, family name, familyname, nachname, familienname, nom de famille, apellido, apellidos, cognome, achternaam, sobrenome, last, nachn, name last, zuname
middle name, middlename, middle initial, second name
full name, fullname, complete name, display name, vollstandiger name, nom complet, nombre completo, vor und zuname
name, label, naam, nom, nombre, nome, bezeichnung
title, headline, heading, caption, titel, titre, titulo, titolo, subject, betreff, asunto, objet
gender, sex, geschlecht, sexe, genero, sexo
birth date, birthdate, date of birth, birthday, born, dateofbirth, geburtsdatum, date de naissance, fecha de nacimiento, data di nascita, geboren, geb datum, fecha nacimiento, gebdat, gebdatum
death date, deathdate, date of death, died
age, alter, edad
customer, client, buyer, kunde, cliente, klant, purchaser, consumer, patron, debitor, abonnent, guest, kundin, besteller, client account
vendor, supplier, seller, lieferant, fournisseur, proveedor, fornitore, merchant, kreditor, zulieferer, leverancier, provider
manufacturer, maker, producer, make, brand, marque, marca, hersteller, fabricant, fabricante, fabrikant, producteur, brand name, oem
product, item, article, goods, merchandise, produkt, artikel, produit, producto, prodotto
price, cost, preis, prix, precio, prezzo, prijs, preco, preis, price per
unit price, item price, price each, price per unit, price per item, stuckpreis, einzelpreis
rate, ratio
fee, charge
amount, sum, betrag, montant, monto, importe, importo, bedrag, valor, umsatz, summe, total amount, valore
total, overall, gesamt, gesamtbetrag, grand total
tax, vat, mwst, tva, iva, duty, umsatzsteuer, ust, steuer, tva amount, sales tax, impuesto
discount, rebate, rabatt, remise, descuento, reduction, nachlass, skonto
quantity, count, number of, menge, anzahl, quantite, cantidad, quantita, aantal, units, pieces, qte, cantidade, stuck, stuckzahl, qty ordered, pcs
stock, inventory, on hand, in stock, lagerbestand, warehouse stock, bestand, lagermenge, existencias, quantity on hand, qoh, available quantity, lager
currency, wahrung, devise, moneda, valuta
invoice, bill, rechnung, facture, factura, fattura, factuur, rechnungs, fra
order, purchase, bestellung, commande, pedido, ordine, auftrag, auftragsnummer, ordre
payment, paid, zahlung, paiement, pago, pagamento, remittance, zahlungseingang
balance, saldo, outstanding
salary, wage, pay, compensation, earnings, gehalt, salaire, salario, stipendio, income, lohn, vergutung, remuneration, pay rate
employee, staff, worker, personnel, mitarbeiter, employe, empleado, dipendente, associate
manager, supervisor, boss, chief, vorgesetzter, superior, line manager, vorgesetzte, reports to
department, division, abteilung, departement, departamento, business unit, bereich, team name, org unit, departamento, cost center department, abt
job, position, role, occupation, profession, job title, designation, beruf, stelle, puesto, tatigkeit, puesto, cargo, function title
hire, joining, start of employment, onboarding, joined, eintritt, employed since, entry date, joining date
termination, leaving, exit, austritt, exit date
company, organization, organisation, firm, business, employer, unternehmen, firma, entreprise, empresa, azienda, corporation, enterprise, institution
address, street address, street, anschrift, adresse, strasse, direccion, indirizzo, rue, calle, via, anschrift strasse, direction postale, domicilio, endereco, straat, str nr
address line 2, apartment, suite, unit number
city, town, municipality, stadt, ort, ville, ciudad, citta, cidade, stad, locality, wohnort, plaats, localidad, poblacion, comune, gemeinde, settlement
state, province, region, bundesland, provincia, estado, county
zip, zip code, zipcode, postal code, postalcode, postcode, post code, plz, postleitzahl, code postal, codigo postal, cap, plz ort, cep, zip postal code, cpostal
country, nation, land, pays, pais, paese, nationality, citizenship, staat, herkunftsland, country of origin, landcode
phone, telephone, phone number, telephone number, telefon, telefono, telefoon, contact number, rufnummer, telephone fixe, tel nr, fon, landline
mobile, cell, cellphone, mobile phone, handy, cell phone, mobil, gsm, portable, movil, handynummer
email, e mail, mail, email address, e mail address, correo, courriel, mailadresse, requester email
website, web page, webpage, homepage, web site, url, link, web address, hyperlink, uri, href
language, sprache, langue, idioma, lingua, locale
description, details, beschreibung, descripcion, descrizione, summary, abstract, bezeichnung, beschreibung, libelle, omschrijving, descricao, designacion
comment, remark, note, notes, remarks, comments, bemerkung, annotation, memo, observations, bemerkungen, anmerkung, notiz, observaciones, commentaire, rmk, hinweis
category, kind, type, class, genre, group, classification, kategorie, typ, categorie, categoria, tipo, warengruppe, product group, gruppe, kategoria, rubrik, segment, family group
status, condition, stato, statut, estado actual, zustand, stand, state of processing, phase
flag, indicator
identifier, id, key, kennung, identificador, code, schlussel, ident, uid, guid, uuid, kennzahl, ref id
number, nummer, numero, numer
code, kurzel, codigo
serial number, serial
tail number, registration number, aircraft registration, tailnum
date, datum, fecha, tag, fch, dte
time, uhrzeit, heure, hora, ora, zeit
timestamp, datetime, date time
year, jahr, annee, ano, anno, jaar
month, monat, mois, mes, mese, maand
day, jour, dia, giorno, dag
week, woche, semaine, semana, settimana
hour, stunde, uhr
duration, elapsed time, length of time, dauer, duree
start, begin, beginning, from, commence, onset, since, opening, effective, opened, started, beginn, debut, inicio, inizio, anfang
end, finish, until, through, stop, expiry, expiration, expires, completion, termination, closed, resolved, finished, completed, ended, beendet, ende
created, creation, inserted, added, entered, recorded, registered, creation time, angelegt, erstellt, anlage, anlagedatum, opened, submitted, creado, cree
updated, modified, changed, last modified, last update, geandert, last change, aktualisiert, modificado
delivery, shipping, shipment, lieferung, livraison, dispatch, envio, shipped, delivered, liefer, versand, freight, ship, shp
due, payable by, fallig, falligkeit, faellig, pay by, payable, due by, pay until, zahlbar bis
departure, depart, leaving, takeoff, abflug
arrival, arrive, landing, ankunft
origin, from airport, source, start location
destination, to airport, ziel, end location
carrier, airline, operator
aircraft, plane, airplane
flight, flug
trip, journey, travel, ride
passenger, traveller, traveler, pax, passengers
vehicle, car, automobile, auto, fahrzeug, vehiculo, voiture
license plate, plate number, kennzeichen, reg plate, registration plate, plate, nummernschild, matricula, immatriculation
latitude, breitengrad
longitude, langengrad
elevation, altitude
location, place, site, venue, locale
wind, breeze, windgeschwindigkeit
temperature, temperatur, air temperature, temp air
precipitation, rainfall, rain, niederschlag, rain amount
author, writer, creator, autor, auteur, autore, composer, reporter, requester, submitted by, created by
publisher, verlag, editorial, publishing house
journal, magazine, periodical
publication date, published, release date, released, publish date, publishing date, post date, issue date, date published
photo, image, picture, thumbnail, media, avatar, icon, pic
weight, mass, gewicht, poids, peso
height, stature, hohe, tall
width, breadth, breite
length, lange
depth, thickness
size, dimension, measurement, largest dimension, diameter
speed, velocity
power, horsepower
color, colour, farbe, couleur
score, rating, grade, points, stars, evaluation
rank, ranking, place in order
review, feedback, opinion
user, account holder, member, username, login, nutzer
account, konto, compte, cuenta
bank account, iban, account number
card number, credit card
balance due, amount due, open amount
patient, participant
diagnosis, disease, condition diagnosed, illness
doctor, physician, provider, practitioner, clinician
hospital, clinic, facility
medication, drug, medicine, therapeutic agent, prescription
treatment, therapy, regimen
symptom, complaint
tumor, tumour, neoplasm, cancer, malignancy
specimen, sample, biospecimen
laterality, side
anatomic site, site, organ, tissue, body part, anatomical location
smoking, tobacco, smoker
drinking, alcohol
race, ethnic group
ethnicity, ethnic origin
death, deceased
alive, living, vital
visit, encounter, appointment
follow up, followup
recurrence, reoccur, reoccurrence, relapse, progression
metastasis, metastases, metastatic
fraction, percent, percentage, share, proportion
examined, tested, checked
present, presence, existing, identified
hispanic, latino
pathologic, pathological, pathology
lymph node, lymph nodes, nodal
spouse, partner, husband, wife
children, kids, offspring, number of children
parent, guardian
father, dad
mother, mom, mum
marital status, civil status, familienstand
education, degree, qualification
religion, faith, confession
citizenship, nationality
team, club, squad
player, athlete
game, match, fixture
season, saison
song, track
artist, musician, performer
movie, film
director, filmmaker
actor, actress, cast
restaurant, eatery, diner
cuisine, food type
store, shop, branch, outlet, filiale, magasin, tienda
warehouse, depot
project, undertaking
task, ticket, todo
priority, urgency, importance, severity, dringlichkeit
assignee, assigned to, owner, responsible, handler, agent, zustandig, in charge, bearbeiter
policy, contract, agreement
premium, contribution
claim, loss
loan, mortgage
interest, yield
transaction, transfer, booking, posting
income, revenue, turnover, sales, umsatz
profit, gain, margin
expense, spending, expenditure
budget, allotment
sensor, probe, device, instrument
reading, value, measurement value, measured value, wert, valeur
unit, unit of measure, einheit
channel, medium
campaign, promotion
event, incident, occurrence
message, text, content, body
subject, topic, theme, betreff, tag
file, document, attachment
version, revision, release
source, origin system
school, university, college
student, pupil, learner, matriculation, matric, etudiant, alumno, schuler
course, class course, lecture
teacher, instructor, professor, advisor, adviser, supervisor, tutor
population, inhabitants, residents
area, surface, surface area
floor, storey
room, bedroom
property, real estate, building
species, organism
reorder point, reorder level, minimum stock, meldebestand, mindestbestand, safety stock
purchase price, cost price, unit cost, einkaufspreis, acquisition cost, buying price, prix d achat, wholesale price
sales price, list price, retail price, verkaufspreis, selling price, listenpreis, prix de vente, catalogue price
barcode, ean, upc, gtin, ean code, bar code, ean number
sku, article number, item number, stock keeping unit, product number, artikelnummer, artikelnr, material number, product code, item code
vin, chassis number, vehicle identification number, fahrgestellnummer, frame number
mileage, odometer, kilometrage, kilometer stand, distance driven
booking date, buchungstag, buchungsdatum, posting date, entry date, date operation
value date, wertstellung, valuta date, date de valeur, wertstellungsdatum
remittance information, verwendungszweck, payment reference, purpose of payment, libelle operation, concepto, usage text
payer, debtor, auftraggeber, ordering party, remitter
payee, creditor, beguenstigter, begunstigter, empfanger, empfaenger, beneficiary, recipient
medical record number, mrn, medical record, chart number
net amount, nettobetrag, netto, amount excluding tax, amount excl vat, amount excl tax, montant ht, subtotal net, net total, netto betrag, excl vat
gross amount, bruttobetrag, brutto, amount including tax, amount incl vat, amount incl tax, montant ttc, gross total, total amount due, incl vat
subtotal, line total, extended price, line amount, position total
purchase order, po, po number, purchase order number, po ref, bestellnummer
employee number, empno, personnel number, personalnummer, staff number, matricule, employee id, emp no, emp id
customer number, customer id, kundennummer, kdnr, kunden nr, cust no, cust id, client number, client id, numero client, customer account
invoice number, rechnungsnummer, inv no, invoice no, numero facture, invoice id
order number, order id, bestellnr, auftragsnr, numero commande
semester, term, academic term
grade point average, gpa, notenschnitt, average grade
credit points, ects, credits, credits earned
observation time, measured at, measurement time, obs time, observed at, reading time, messzeit, zeitpunkt
pressure, air pressure, luftdruck, barometer
humidity, relative humidity, rh, luftfeuchtigkeit
inspection, check up, audit, prufung
shipping cost, freight, freight cost, versandkosten, porto, postage, delivery fee, shipping fee, frais de port
registered office, headquarters
marketing channel, utm source
insurance, versicherung, assurance, seguro
street number, house number, hausnummer, hausnr
attending physician, attending doctor, treating physician, behandelnder arzt
gene, locus
"""

# Names in Chinese and Japanese script, and what they are in English; the longest word goes first.
_HAN = """
名稱 name
名称 name
姓名 full name
名字 name
名 name
姓 last name
標題 title
标题 title
題目 title
题目 title
主題 subject
主题 subject
作者 author
記者 author
记者 author
日期 date
時間 time
时间 time
年份 year
年 year
月 month
日 day
發布 published
发布 published
發表 published
发表 published
上映 release
出版 publication
出版社 publisher
價格 price
价格 price
價錢 price
价钱 price
售價 price
售价 price
單價 unit price
单价 unit price
總價 total price
总价 total price
價 price
价 price
金額 amount
金额 amount
數量 quantity
数量 quantity
總 total
总 total
地址 address
住址 address
位置 location
地點 location
地点 location
產地 origin
产地 origin
城市 city
國家 country
国家 country
地區 region
地区 region
電話 phone
电话 phone
手機 mobile
手机 mobile
電子郵件 email
邮箱 email
網址 website
网址 website
連結 link
鏈接 link
链接 link
圖片 image
图片 image
內容 content
内容 content
摘要 abstract
簡介 description
简介 description
描述 description
說明 description
说明 description
備註 comment
备注 comment
來源 source
来源 source
類型 type
类型 type
類別 category
类别 category
分類 category
分类 category
種類 type
种类 type
狀態 status
状态 status
性別 gender
性别 gender
年齡 age
年龄 age
生日 birth date
公司 company
部門 department
部门 department
職位 position
职位 position
產品 product
产品 product
商品 product
庫存 stock
库存 stock
品牌 brand
型號 model
型号 model
編號 number
编号 number
代碼 code
代码 code
訂單 order
订单 order
客戶 customer
客户 customer
評分 rating
评分 rating
評論 review
评论 review
文章 article
新聞 news
新闻 news
樓層 floor
楼层 floor
面積 area
面积 area
坪數 area
坪数 area
坪 area
屋齡 building age
房龄 building age
車位 parking
车位 parking
電梯 elevator
电梯 elevator
格局 layout
户型 layout
戶型 layout
朝向 orientation
座向 orientation
管理費 management fee
管理费 management fee
費 fee
费 fee
建物 building
建築 building
電影 movie
电影 movie
片長 duration
片长 duration
導演 director
导演 director
演員 actor
演员 actor
語言 language
语言 language
体重 weight
體重 weight
身高 height
重量 weight
顏色 color
颜色 color
尺寸 size
大小 size
氏名 full name
住所 address
電話番号 phone number
価格 price
数 number
番号 number
商品名 product name
会社名 company name
注文 order
顧客 customer
"""

# Words of which a name rarely has both: `first` is not `last`.
_OPPOSITES = """
first / last / middle / full
start / end
minimum / maximum / average / median / total
arrival / departure
origin / destination
from / to
scheduled / actual / estimated
source / target
sender / recipient
buyer / seller
customer / vendor / employee / manager
billing / shipping / delivery
home / work / mobile
net / gross
debit / credit
latitude / longitude / elevation
width / height / length / depth / weight
created / updated / deleted
birth / death
clinical / pathologic
primary / secondary
systolic / diastolic
husband / wife
father / mother
male / female
high / low
open / close
upper / lower
left / right
day / month / year / hour / minute / second / week / quarter
date / price
hour / day
quantity / price / tax / discount
city / state / country / zip / address / phone / email / website
positive / negative
examined / positive
old / new
previous / next / current
in / out
internal / external
buy / sell
bid / ask
plan / actual / forecast
before / after
begin / end
pre / post
positive / tested
speed / direction / gust
"""

STOPWORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "for",
        "in",
        "on",
        "at",
        "by",
        "to",
        "and",
        "or",
        "is",
        "was",
        "are",
        "be",
        "this",
        "that",
        "with",
        "as",
        "per",
        "from",
        "it",
        "its",
        "if",
        "von",
        "der",
        "die",
        "das",
        "de",
        "la",
        "le",
        "les",
        "du",
        "des",
        "el",
        "los",
        "las",
        "del",
        "di",
        "da",
        "do",
        "und",
        "et",
        "y",
    ]
)


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in text.strip().splitlines()]


def _abbreviations() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for short, long in _pairs(_ABBREVIATIONS):
        found[short] = (*found.get(short, ()), *long.split())
    return found


def _phrases(text: str) -> dict[tuple[str, ...], tuple[str, ...]]:
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for line in text.strip().splitlines():
        words = [word.strip() for word in line.split(",")]
        concept = words[0].replace(" ", "_")
        for word in words:
            phrase = tuple(word.split())
            if concept not in found.get(phrase, ()):
                found[phrase] = (*found.get(phrase, ()), concept)
    return found


def _opposites() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for index, line in enumerate(_OPPOSITES.strip().splitlines()):
        for word in line.split(" / "):
            found[word] = (*found.get(word, ()), index)
    return found


ABBREVIATIONS: dict[str, tuple[str, ...]] = _abbreviations()
"""An abbreviation, and the words that it may stand for."""

ACRONYMS: dict[str, tuple[tuple[str, ...], ...]] = {}
"""An acronym, and the phrases that it may stand for."""
for _short, _long in _pairs(_ACRONYMS):
    ACRONYMS[_short] = (*ACRONYMS.get(_short, ()), tuple(_long.split()))

CONCEPTS: dict[tuple[str, ...], tuple[str, ...]] = _phrases(_SYNONYMS)
"""A word or phrase, and what it may mean, by the first word or phrase of each line that it stands in."""

HAN: dict[str, tuple[str, ...]] = {word: tuple(meaning.split()) for word, meaning in _pairs(_HAN)}
"""A word in Han script, and what it means in English."""

OPPOSITES: dict[str, tuple[int, ...]] = _opposites()
"""A word, and the groups of which a name rarely has two."""
