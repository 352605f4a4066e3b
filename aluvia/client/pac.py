"""
The rules as a PAC file, for a browser that takes its direct traffic around the proxy.

The script says ``DIRECT`` where the rules certainly say direct, and names the proxy everywhere
else. The proxy decides once more, so that naming it is always right and ``DIRECT`` is the only
mistake there could be; nothing is named behind the proxy, since a browser would go there when the
proxy is down. What the script leaves to the proxy:

* what only the public suffixes can settle (``google.*``, ``*.google.*``): they are long, and not
  needed for this. An exclusion of that kind is left out, an inclusion takes every host that it
  could match;
* spellings of a host that have to be mapped before they can be judged (other than ASCII; ``127.1``,
  octal and the like), and hosts that are none;
* in a list of rules that is too long, parts of it: see below.

A host gives a handful of keys, and a set of rules is an object with the keys that they match by:

============  =====================================  ==============================================
kind          key                                    what a host gives
============  =====================================  ==============================================
ANY           ``*``                                  ``*``
NAME          ``=example.com``                       itself
BELOW         ``.example.com``                       what follows each of its dots
IPV4, IPV6,   ``4:`` or ``6:`` and the prefix in     every prefix, up to the whole
addresses     binary
STEM          ``^google``                            what precedes each of its dots
BELOW_STEM    ``~google``                            every run of labels that leaves one on either
                                                     side
============  =====================================  ==============================================

No key begins as a property does that every object has (``constructor``, ``__proto__``), and none
has anything in it but what canonical hosts have: the texts of the rules are not in the script.

Browsers refuse a script that is too long, and one that is refused means direct for everything. So
what does not fit into :data:`PAC_BYTES` becomes shorter: first each inclusion turns into the CRC of
its key, by which one host in some thousands comes to the proxy without a rule; then the exclusions
are left out; then everything comes to the proxy.

The script is ECMAScript 3: the engines in which it runs are older than the browsers around them.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable, Iterator
from zlib import crc32

from aluvia import __version__
from aluvia.rules import RuleSet
from aluvia.rules.match import address_number
from aluvia.rules.model import Kind, Pattern, Rule

CONTENT_TYPE = "application/x-ns-proxy-autoconfig"

#: The longest script. Chromium takes 1 MiB.
PAC_BYTES = 1_000_000

_EVERYTHING: typing.Final = '{"*": 1}'
_NOTHING: typing.Final = "{}"


def pac_script(rules: RuleSet | None, url: str) -> str:
    """
    The script for these rules.

    :param rules: None while there is no configuration: everything comes to the proxy then.
    :param url: the proxy's, ``http://HOST:PORT``.
    """
    proxy = "PROXY " + url.removeprefix("http://")
    if rules is None:
        return _script(proxy, "no configuration yet", _EVERYTHING, _NOTHING)
    about = f"rules of revision {rules.revision}"
    included = sorted(_keys(rule for rule in rules.rules if not rule.excludes))
    # Whether those by public suffixes exclude a host is not asked in the script.
    excluded = sorted(
        key for key in _keys(rule for rule in rules.rules if rule.excludes) if key[0] not in "^~"
    )
    script = _script(proxy, about, _exact(included), _exact(excluded))
    if len(script) > PAC_BYTES:
        hashed = _hashed(included)
        script = _script(proxy, about + ", shortened", hashed, _exact(excluded))
        if len(script) > PAC_BYTES:
            script = _script(proxy, about + ", without exclusions", hashed, _NOTHING)
        if len(script) > PAC_BYTES:
            script = _script(proxy, about + ", too many", _EVERYTHING, _NOTHING)
    return script


def _keys(rules: Iterable[Rule]) -> set[str]:
    return {key for rule in rules for key in _keys_of(rule.pattern)}


def _keys_of(pattern: Pattern) -> Iterator[str]:
    name = pattern.name
    match pattern.kind:
        case Kind.ANY:
            yield "*"
        case Kind.NAME:
            number = address_number(name)
            if number is None:
                yield "=" + name
            elif ":" in name:
                yield f"6:{number:0128b}"
            else:
                yield f"4:{number:032b}"
        case Kind.BELOW:
            yield "." + name
        case Kind.STEM:
            yield "^" + name
        case Kind.BELOW_STEM:
            yield "~" + name
        case Kind.IPV4:
            yield "4:" + f"{pattern.network:032b}"[: pattern.bits]
        case Kind.IPV6:
            yield "6:" + f"{pattern.network:0128b}"[: pattern.bits]


def _exact(keys: Iterable[str]) -> str:
    return json.dumps(dict.fromkeys(keys, 1), separators=(",", ":"))


def _hashed(keys: Iterable[str]) -> str:
    """Their CRCs in hexadecimal, eight digits each, one behind the other, rising."""
    sums = sorted({crc32(key.encode("ascii")) for key in keys})
    return json.dumps("".join([f"{each:08x}" for each in sums]))


def _script(proxy: str, about: str, included: str, excluded: str) -> str:
    return "".join(
        [
            f"// aluvia {__version__}: {about}.\n",
            f"var proxy = {json.dumps(proxy)};\n",
            f"var included = {included};\n",
            f"var excluded = {excluded};\n",
            _CODE,
        ]
    )


_CODE: typing.Final = r"""
function FindProxyForURL(url, host) {
  var keys = keysOf(host);
  if (keys === null) {
    return proxy;
  }
  if (any(excluded, keys)) {
    return "DIRECT";
  }
  return any(included, keys) || any(included, suffixKeysOf(keys[1])) ? proxy : "DIRECT";
}

// What rules can match this host by; null if that is not for us to say.
function keysOf(host) {
  var name, address, dot, keys;
  if (!/^[A-Za-z0-9._:\[\]-]{1,254}$/.test(host)) {
    return null;
  }
  name = host.toLowerCase().replace(/\.$/, "");
  if (name.indexOf(":") >= 0) {
    address = bitsOf6(name.replace(/^\[(.*)\]$/, "$1"));
    return address === null ? null : prefixes(address);
  }
  if (!/^([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}$/.test(name) || name.length > 253) {
    return null;
  }
  if (/^(.*\.)?([0-9]+|0x[0-9a-f]*)$/.test(name)) {
    address = bitsOf4(name);
    return address === null ? null : prefixes("4:" + address);
  }
  keys = ["*", "=" + name];
  for (dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    keys.push(name.substring(dot));
  }
  return keys;
}

// The keys of patterns with a star for the public suffix, from a name's own. What an address has
// in its place has no dots, and so gives none.
function suffixKeysOf(key) {
  var labels = key.substring(1).split("."), keys = [], first, last, run;
  for (last = 1; last < labels.length; last++) {
    keys.push("^" + labels.slice(0, last).join("."));
  }
  for (first = 1; first < labels.length - 1; first++) {
    run = "~" + labels[first];
    keys.push(run);
    for (last = first + 1; last < labels.length - 1; last++) {
      run += "." + labels[last];
      keys.push(run);
    }
  }
  return keys;
}

function prefixes(address) {
  var keys = ["*"], length;
  for (length = 2; length <= address.length; length++) {
    keys.push(address.substring(0, length));
  }
  return keys;
}

function digits(number, base, width) {
  var text = number.toString(base);
  while (text.length < width) {
    text = "0" + text;
  }
  return text;
}

// Four plain numbers; null for every other way to write an address.
function bitsOf4(text) {
  var parts = text.split("."), bits = "", i;
  if (parts.length !== 4) {
    return null;
  }
  for (i = 0; i < 4; i++) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(parts[i]) || +parts[i] > 255) {
      return null;
    }
    bits += digits(+parts[i], 2, 8);
  }
  return bits;
}

// With the family in front: what is mapped into IPv6 is IPv4.
function bitsOf6(text) {
  var tail = /^(.*:)([0-9.]+\.[0-9.]+)$/.exec(text), halves, front, back, bits, i;
  if (tail !== null) {
    bits = bitsOf4(tail[2]);
    if (bits === null) {
      return null;
    }
    text = tail[1] + parseInt(bits.substring(0, 16), 2).toString(16) + ":" +
      parseInt(bits.substring(16), 2).toString(16);
  }
  halves = text.split("::");
  if (halves.length > 2) {
    return null;
  }
  front = halves[0] === "" ? [] : halves[0].split(":");
  back = halves.length === 1 || halves[1] === "" ? [] : halves[1].split(":");
  if (halves.length === 2 ? front.length + back.length > 7 : front.length !== 8) {
    return null;
  }
  while (front.length + back.length < 8) {
    front.push("0");
  }
  front = front.concat(back);
  bits = "";
  for (i = 0; i < 8; i++) {
    if (!/^[0-9a-f]{1,4}$/.test(front[i])) {
      return null;
    }
    bits += digits(parseInt(front[i], 16), 2, 16);
  }
  return /^0{80}1{16}/.test(bits) ? "4:" + bits.substring(96) : "6:" + bits;
}

function any(set, keys) {
  var i;
  for (i = 0; i < keys.length; i++) {
    if (typeof set === "string" ? search(set, hash(keys[i])) : set[keys[i]] === 1) {
      return true;
    }
  }
  return false;
}

// CRC-32, as gzip has it.
function hash(key) {
  var crc = -1, i, bit;
  for (i = 0; i < key.length; i++) {
    crc ^= key.charCodeAt(i);
    for (bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    }
  }
  return digits(~crc >>> 0, 16, 8);
}

function search(set, wanted) {
  var low = 0, high = set.length / 8, middle, found;
  while (low < high) {
    middle = Math.floor((low + high) / 2);
    found = set.substring(8 * middle, 8 * middle + 8);
    if (found === wanted) {
      return true;
    }
    if (found < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return false;
}
"""
