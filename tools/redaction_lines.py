"""The sentences of the redaction corpus: frames to be filled, and lines written by hand."""

from __future__ import annotations

NUMBER_FRAMES = [
    "call me at {}",
    "{}",
    "My number is {}, text when you are here",
    "can you ring {} when you arrive?",
    "I changed phones, use {} from now on",
    "hey it's Sam, {}",
    "if I don't answer try my wife: {}",
    "Tel: {}",
    "the gate code doesn't work, {} is the porter",
    "Please deliver to the back door. {} if lost",
    "whats ur cell mine is {}",
    "here you go {}",
    "No need to go through the app, {} works better",
    "Let's talk directly ({})",
    "ok {} 👍",
    "reach me on {} after 6",
    "I'm at 12 Elm Street, phone {}",
    "send the photos to {} pls",
    "this app is slow. {}. thanks!",
    "order 55 is ready, any question: {}",
    "dial {} and ask for Kim",
    "my office line {} or leave a note",
    "Contact: {} (Robin)",
    "{} call me!!",
    "yes tomorrow at 10:30, else {}",
    "Price is $40 and my mobile is {}",
]
EVASIVE_FRAMES = [
    "{}",
    "call me {}",
    "my number: {}",
    "ok so it's {} got it?",
    "write this down {}",
    "you can get me on {} any time",
    "they block numbers here so {}",
    "{} and ask for Jo",
    "it is {} thanks",
    "add it up yourself: {}",
    "hey {} 😉",
    "pay me cash, {}",
]
EMAIL_FRAMES = [
    "write to {}",
    "{}",
    "my mail is {} thanks",
    "Send the invoice to {}, please.",
    "or email me: {}",
    "better {} than here",
    "I sent it from {} yesterday",
    "cc {} as well",
    "contact ({}) for keys",
    "mail={}",
]
LINKS = [
    "https://example.com/listing/42",
    "http://example.org",
    "www.example.net",
    "example.com",
    "example.com/pay?id=7",
    "shop.example.co.uk/deal",
    "wa.me/14155550123",
    "https://wa.me/14155550123",
    "t.me/example_room",
    "example.io/x",
    "my-shop.example.com",
    "http://192.0.2.10/login",
    "EXAMPLE.COM",
    "https://example.com",
    "hxxps://example.com/a",
    "example.org:8080/x",
    "paypal.me/example",
    "example.de",
]
LINK_FRAMES = [
    "see {}",
    "{}",
    "pictures are on {} if you want",
    "book directly at {} next time",
    "it's cheaper here: {}",
    "pay me through {} please",
    "look: {} !",
    "more at {} ok",
    "I put it up on {} last night",
]
SITE_NAMES = ["example", "shop.example", "my-flat.example", "www dot example", "bikes.example"]
HANDLE_LINES = [
    "@{}",
    "find me @{}",
    "I'm @{} there",
    "insta: {}",
    "Instagram: {}",
    "ig: {}",
    "IG - @{}",
    "my insta is {}",
    "my snap is {}",
    "my snapchat: {}",
    "snapchat = {}",
    "my telegram is {}",
    "telegram @{}",
    "telegram: {}",
    "tg: @{}",
    "add me on telegram",
    "add me on snap",
    "dm me on insta",
    "DM me on IG please",
    "message me on whatsapp",
    "whatsapp me",
    "WhatsApp me instead",
    "text me on signal",
    "hit me up on discord",
    "find me on facebook, {}",
    "follow me on tiktok",
    "whatsapp: {}",
    "Skype: {}",
    "my skype is {}",
    "my discord is {}#4821",
    "{}#1234",
    "discord name {}",
    "facebook: {}",
    "fb: {}",
    "my wechat id: {}",
    "wechat: {}",
    "my kik is {}",
    "viber: {}",
    "my venmo is {}",
    "cashapp: {}",
    "add my insta {}99",
    "user_{} on insta",
    "{}_77 on telegram",
    "reach me via whatsapp",
    "contact us on whatsapp",
    "ping me on signal",
    "can you add me on whatsapp?",
    "let's switch, add me on wechat",
    "msg me on messenger",
    "my twitter handle is {}",
    "twitter: @{}",
    "linkedin: {}",
    "my tiktok is @{}",
    "snap me later",
    "signal me when ready",
    "find us on instagram: {}",
    "hmu on snap",
    "my ig is {}",
    "mon insta est {}x9",
    "mi telegram es {}",
    "follow us on insta",
    "my facebook is {}",
    "i'm on telegram as @{}",
    "dm @{} for the key",
    "ask @{} she knows",
    "tag @{} thanks",
    "sure, @{}!",
    "(@{})",
    "it's @{}, same picture",
    "my line id is {}",
]
OTHER_FRAMES = [
    "order {order} is out for delivery",
    "Order number {long}",
    "order #{order}",
    "Your booking reference is {long}",
    "tracking {usps}",
    "tracking number: {track}",
    "parcel {long} arrives on {date}",
    "invoice {order} for ${price}",
    "that will be ${price} for {few} items",
    "£{price} in cash please",
    "{price} EUR",
    "I paid ${big} for it in {year}",
    "it has {big} miles on it",
    "see you at {time}",
    "between {time} and {time} is fine",
    "{hour}pm works, {hour}:30 too",
    "on {date} at {time}",
    "due {day}",
    "available from {dotted} on",
    "{dotted} - {dotted}",
    "I'm at {house} Oak Avenue, apt {flat}",
    "{house} Main St, Springfield {zip}",
    "Portland OR {zip4}",
    "{house} Elm Road, room {room}",
    "room {room}, floor {flat}",
    "door code {code}",
    "gate code is {code} then {flat}",
    "your verification code is {code}",
    "need {few} boxes of {few}",
    "{few} x {few} cm",
    "seat {flat}, row {few}",
    "flight BA{room} at {time}",
    "bus {flat} or {few}",
    "final score {score}",
    "pin is {code}, the blue locker",
    "it's at {lat}, {lon}",
    "plate {plate}",
    "card ending {zip}",
    "card {card}",
    "{few} people, {few} chairs",
    "part no. {order}",
    "case {long} was closed",
    "serial {long}",
    "item {order} in aisle {flat}",
    "the router is 192.168.1.{flat}",
    "version 2.{flat}.{few}",
    "{year}-{year} model",
    "{year} {year} {year}",
    "since {year}, about {big} of them",
    "lot {order}, {few} pieces",
    "between {few} and {few} dollars",
    "it weighs {few}.{few} kg",
    "ticket {long}",
    "ETA {few} min, {few} stops left",
    "transaction {long} failed",
    "Reservation {order}, {few} nights, {date}",
    "ref {order} / {year}",
    "width {room} height {room} depth {few}",
    "sizes 36 38 40 42 44",
    "I have {few} left, {few} sold, {few} broken",
]
PLAIN_LINES = """
I'm outside
On my way, five minutes
Is it still available?
yes
no thanks
ok see you then
Can you leave it with the neighbour?
The blue one please
thanks a lot!
Where should I park?
I'll stop by at 5
please stop at the second gate
help me carry it upstairs?
The signal is weak here
I can't snap a picture right now
Meet at the station
I'm at work
I'm @ work until 6
we are at home
back @ 5
meet @ the lobby
2 @ $5 each
Let's meet at the corner of 5th and Main
one or two bags?
two kids and one dog
I have one, she has two, he has three
three four times a week
seven eight o'clock
twenty five euros
It's on the ninth floor, first door on the left
turn left, then right, then left again
Did you get my last message?
We are ten minutes away
ten past four
half past nine
nineteen eighty four is my favourite
one hundred and fifty dollars
It's 20% off
room for two, breakfast included
no. it is the green house
No problem. So we meet there
I asked him.He said yes
great.See you
ok.thanks
fine.In the morning then
Mr.Smith will open
e.g. the red one
i.e. tomorrow
a.m. or p.m.?
the report.pdf is attached
photo.jpg did not open
I saw it on instagram
the instagram post was nice
do you have whatsapp?
my telegram is not working
facebook is down again
I don't use facebook
the discord app crashed
The line is long
my line was cut
what is on the line?
the x on the map
put an x on the box
snap out of it
oh no, oh no
oh well, one more time
O.K. so 4 it is
Great, 10/10
5 stars!
24/7 open
3/4 of a cup
4x4 truck
A4 paper
B12 vitamins
2nd floor, 3rd door
covid-19 test needed
MP3 player and a 4K screen
iPhone 15 and a PS5
WD-40 is enough
the 101 is jammed, take the 280
exit 23 then 4 miles
I-95 south to exit 11
gate B22, terminal 5
train at platform 9
channel 4 at eight
between 8 and 9
from 9 to 5
6 or 7 would be fine
about 100
1 2 3 go
1 2 3 4 5
1 2 3 4 5 6 7 8
10 9 8 7 6 5 4 3 2 1
one two three testing
one two three four five six seven eight
9-5 on weekdays
24 36 48 60
the dot is red
connect the dots
the dot com boom
polka dot dress
look at the picture
come at eight dot
it's at the end of the road
arrive at noon
sit at table 4
sign at the bottom
at last
Look at this
cafe at the harbour
i'm at the gym
wait at reception please
leave it @reception
I'm @home
@all dinner is ready
everyone @ 7
he is online
my site is muddy, wear boots
click the green button
scan the code at the door
the key is under the pot
use the back stairs
ring the bell twice
call when you are here
text me when you leave
call me maybe
please phone the front desk
my number one choice
number 7 on the list
what's your number?
I lost my phone
give me a ring
mobile home for sale
cell walls are thin
I will email you the papers
no email came
the mail is late
post it tomorrow
pay in cash
is paypal ok?
the app says delivered
you can pay online
in.my opinion it's fine
half.and half
Yes.No.Maybe
wow...really
hmm..ok
well - fine - ok
(yes) [no]
#blessed
#1 choice
#3 is mine
$5
$5 $10 $15 $20
20 30 40 50 60 70
$20 $30 $40 per hour, $50 $60 $70 weekends
5, 10, 15, 20, 25
12, 14, 16, 18, 20, 22
37.5 degrees
36.6 C
1.5 l of milk and 2.25 kg of rice
6'2"
5ft 11in
16:9 screen
1:30:00 marathon half
3-2-1 go
7-7-7 slots
2+2=4
100-200 people
10-12 days
mon-fri 9-5, sat 10-2
Mon 9:00-17:00, Sat 10:00-14:00
it opens 08:00 closes 20:00
08.30-12.00
from 10.15 until 11.45
2026
2025-2026
Q3 2026
03/2026
12/25
3.8.2026
08.03.26
March 8 2026 10 30
8 March, 10 o'clock
""".strip().split("\n")
HAND_WRITTEN = [
    # Two things in one text.
    ("clear", "US", "number,email", "415-555-0123 or sam@example.com"),
    ("clear", "US", "number,email", "mail sam@example.com, phone +1 212 555 0187"),
    ("clear", "US", "link,number", "example.com/rooms or 303-555-0110"),
    ("clear", "US", "handle,number", "insta: johnny_d / 415 555 0166"),
    ("clear", "US", "handle,number", "whatsapp me 617-555-0142"),
    ("clear", "US", "email,link", "robin@example.org, see www.example.org"),
    ("clear", "US,GB", "number", "US 415 555 0123, UK 07700 900456"),
    ("clear", "US", "number", "415-555-0123, 415-555-0124 or 415-555-0125"),
    ("clear", "US", "number", "I'll be there at 5, 415-555-0123"),
    ("clear", "US", "number", "order 12 at 10:30, $45, call 415-555-0123"),
    ("clear", "US", "number", "call 555-0123"),
    ("clear", "US", "number", "phone: 555 0175 (same area code)"),
    ("clear", "US", "number", "tel:+14155550123"),
    ("clear", "US", "number", "415-555-0123x22"),
    ("clear", "US", "number", "call4155550123"),
    ("clear", "AU", "number", "0491 570 156"),
    ("clear", "AU", "number", "my mobile is 0491570157"),
    ("clear", "AU", "number", "+61 491 570 158"),
    ("clear", "GB", "number", "mobile 07700 900 123 thx"),
    ("clear", "US", "number", "+44 7700 900321"),
    ("clear", "GB", "number", "+1 (415) 555-0199"),
    ("clear", "US", "number", "4155550123 4155550124"),
    ("clear", "US", "number", "415\\n555\\n0123"),
    ("evasion", "US", "number", "four one five\\nfive five five\\noh one two three"),
    ("evasion", "US", "number", "(4)(1)(5)(5)(5)(5)(0)(1)(2)(3)"),
    ("evasion", "US", "number", "4-1-5 / 5-5-5 / 0-1-2-3"),
    ("evasion", "US", "number", "415 five five five 0123"),
    ("evasion", "US", "number", "fourfifteen 555 0123 call me"),
    ("evasion", "US", "number", "four fifteen, five fifty five, oh one twenty three"),
    ("evasion", "US", "number", "four hundred fifteen five five five zero one two three"),
    ("evasion", "US", "number", "cuatro uno cinco cinco cinco cinco cero uno dos tres"),
    ("evasion", "FR", "number", "zéro un neuf neuf zéro zéro quatre deux un huit"),
    ("evasion", "DE", "number", "null drei null zwei drei eins zwei fünf eins zwei drei"),
    ("evasion", "US", "number", "415😀555😀0123"),
    ("evasion", "US", "number", "415❤️555❤️0123"),
    ("evasion", "US", "number", "4 1 5... 5 5 5... 0 1 2 3"),
    ("evasion", "US", "number", "plus one four one five five five five zero one two three"),
    ("evasion", "US", "number", "area code 415 then 555 dash 0123"),
    ("evasion", "US", "number", "[415] [555] [0123]"),
    ("evasion", "US", "number", "4️⃣1️⃣5️⃣ 5️⃣5️⃣5️⃣ 0️⃣1️⃣2️⃣3️⃣"),
    ("evasion", "US", "number", "𝟒𝟏𝟓-𝟓𝟓𝟓-𝟎𝟏𝟐𝟑"),
    ("evasion", "US", "number", "４１５−５５５−０１２３"),
    ("evasion", "US", "number", "⁴¹⁵⁵⁵⁵⁰¹²³"),
    ("evasion", "US", "number", "four,one,five,five,five,five,zero,one,two,three"),
    ("evasion", "US", "number", "fouronefivefivefivefivezeroonetwothree"),
    ("evasion", "US", "number", "4one5five5five0one2three"),
    # Gets past us, and is labelled as what it is.
    ("evasion", "US", "number", "for won five, five five five, owe won too tree"),
    ("evasion", "US", "number", "415 is the first bit, 555 the second and then 0123"),
    ("evasion", "US", "number", "415-555-HELP"),
    ("evasion", "US", "number", "four1five fivefivefive 0one23"),
    ("evasion", "US", "number", "IV I V V V V O I II III"),
    ("evasion", "US", "number", "3210 555 514 read it backwards"),
    ("evasion", "US", "number", "四一五五五五零一二三"),
    ("evasion", "US", "number", "4x1x5x5x5x5x0x1x2x3"),
    ("evasion", "US", "number", "f0ur 0ne f1ve f1ve f1ve f1ve zer0 0ne tw0 thr33"),
    ("evasion", "US", "number", "first three: 415"),
    ("evasion", "US", "number", "last four: 0123, rest as before"),
    ("evasion", "US", "number", "order number 4155550123 ;)"),
    ("evasion", "US", "number", "that's $415.555 and 0123 cents"),
    ("evasion", "US", "number", "vierhundertfünfzehn 555 0123"),
    ("evasion", "US", "email", "sam at gmail"),
    ("evasion", "US", "email", "sam.w@gmail"),
    ("evasion", "US", "email", "samw (at) gmail"),
    ("evasion", "US", "email", "sam at g mail dot com"),
    ("evasion", "US", "email", "sam at gee mail"),
    ("evasion", "US", "email", "s a m @ e x a m p l e . c o m"),
    ("evasion", "US", "email", "sam\\u0040example\\u002ecom in code"),
    ("evasion", "US", "email", "sam @ example . com"),
    ("evasion", "US", "email", "sam＠example．com"),
    ("evasion", "US", "email", "sаm@ехample.com"),
    ("evasion", "US", "email", "my name with a dot in it at the usual google mail"),
    ("evasion", "US", "email", "sam_w arroba example punto com"),
    ("evasion", "US", "email", "sam AT example DOT co DOT uk"),
    ("evasion", "US", "link", "example,com"),
    ("evasion", "US", "link", "example c0m"),
    ("evasion", "US", "link", "e x a m p l e . c o m"),
    ("evasion", "US", "link", "search for Bobs Bikes Springfield, first result"),
    ("evasion", "US", "link", "www dot example dot com"),
    ("evasion", "US", "link", "example(.)com"),
    ("evasion", "US", "link", "example。com"),
    ("evasion", "US", "link", "http colon slash slash example dot org"),
    ("evasion", "US", "link", "example dawt com"),
    ("evasion", "US", "handle", "same name as here but on the bird app"),
    ("evasion", "US", "handle", "i n s t a : j o h n n y"),
    ("evasion", "US", "handle", "in$ta johnny_d"),
    ("evasion", "US", "handle", "look for johnny d on the gram"),
    ("evasion", "US", "handle", "teleqram johnny_d"),
    ("evasion", "US", "handle", "insta johnny"),
    ("evasion", "US", "handle", "what's app me"),
    ("evasion", "US", "handle", "we can chat on the green app"),
    ("evasion", "US", "handle", "my name on the photo app is johnny"),
    # Looks like it and is none.
    ("hard", "US", "-", "ISBN 978-0-00-000000-0"),
    ("hard", "US", "-", "my order 4155550 came late"),
    ("hard", "US", "-", "UPS says 1Z999AA10123456784"),
    ("hard", "GB", "-", "postcode SW1A 1AA, flat 12"),
    ("hard", "GB", "-", "EC1A 1BB or W1A 0AX?"),
    ("hard", "US", "-", "1600 1800 2000 2200 2400"),
    ("hard", "US", "-", "2 4 6 8 10 12 14"),
    ("hard", "US", "-", "lottery: 3 8 15 21 33 40"),
    ("hard", "US", "-", "combination 12-24-36"),
    ("hard", "US", "-", "30 60 90 days"),
    ("hard", "US", "-", "50 100 150 200 250 300"),
    ("hard", "US", "-", "IBAN DE00 0000 0000 0000 0000 00"),
    ("hard", "US", "-", "VAT 123456789"),
    ("hard", "US", "-", "meter reads 004155 and 005550"),
    ("hard", "US", "-", "bitcoin at 65,123.45 today"),
    ("hard", "US", "-", "pi is 3.14159265358979"),
    ("hard", "US", "-", "1,000,000 thanks"),
    ("hard", "US", "-", "a million: 1000000"),
    ("hard", "US", "-", "unix time 1772928000"),
    ("hard", "US", "-", "timestamp 2026-03-08T10:30:00Z"),
    ("hard", "US", "-", "MAC 00:1A:2B:3C:4D:5E"),
    ("hard", "US", "-", "build 2026030812"),
    ("hard", "US", "-", "3035550 units sold"),
    ("hard", "US", "-", "hex #4155550"),
    ("hard", "US", "-", "colour #ff8800"),
    ("hard", "US", "-", "scores: 3 2 1 1 0 2"),
    ("hard", "US", "-", "bring 1 2 or 3 friends"),
    ("hard", "US", "-", "one two three four"),
    ("hard", "US", "-", "five six seven eight, and one two three four"),
    ("hard", "US", "-", "twenty twenty six, ten thirty"),
    ("hard", "US", "-", "at the dot of nine"),
    ("hard", "US", "-", "look at joe, com is short for commercial"),
    ("hard", "US", "-", "net worth and org charts"),
    ("hard", "US", "-", "Dr.Lee is in"),
    ("hard", "US", "-", "setup.exe and notes.txt"),
    ("hard", "US", "-", "U.S. and U.K. plugs"),
    ("hard", "US", "-", "v2.0 is out"),
    ("hard", "US", "-", "approx.50 m"),
    ("hard", "US", "-", "his whatsapp is on all day"),
    ("hard", "US", "-", "saw your ad on facebook"),
    ("hard", "US", "-", "instagram is full of these"),
    ("hard", "US", "-", "telegram came by post in 1950"),
    ("hard", "US", "-", "add me on the list please"),
    ("hard", "US", "-", "follow me on the left side"),
    ("hard", "US", "-", "contact the office on the first floor"),
    ("hard", "US", "-", "she's a snap judge"),
    ("hard", "US", "-", "text me on arrival"),
    ("hard", "US", "-", "message me on the app"),
    ("hard", "US", "-", "C#1234 is no note"),
]
