/** Addresses and networks: rule 1 of actors/logins/README.md, and that of actors/logins-by-user/README.md, against Node's own reading of addresses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addressText, networkOf, parseAddress } from "../../actors/logins/address.ts";
import { spelledOtherwise } from "../../actors/logins/generator/addresses.ts";
import { Dice } from "../../actors/random.ts";
import { plainAddress, plainNetwork } from "./plain-addresses.ts";

const textOf = (written: string): string | undefined => {
  const address = parseAddress(written);
  return address === undefined ? undefined : addressText(address);
};

test("an address has one text, however it is written", () => {
  const spellings: Record<string, string[]> = {
    "192.0.2.1": ["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:C000:201", "0:0:0:0:0:ffff:c000:0201", "0000::ffff:192.0.2.1"],
    "2001:db8::1": ["2001:db8::1", "2001:DB8:0:0:0:0:0:1", "2001:0db8:0000::0001", "2001:db8::0:1", "2001:db8::0.0.0.1"],
    "2001:db8:0:1:1:1:1:1": ["2001:db8::1:1:1:1:1", "2001:0db8:0:1:1:1:1:1"],
    "2001:0:0:1::1": ["2001:0:0:1:0:0:0:1"],
    "1::2:0:0:3:4": ["1:0:0:2:0:0:3:4"],
    "::": ["::", "0:0:0:0:0:0:0:0", "::0.0.0.0"],
    "::1": ["::1", "0::1"],
    "1::": ["1::", "1:0:0:0:0:0:0:0"],
    "::102:304": ["::1.2.3.4"],
  };
  for (const [text, written] of Object.entries(spellings))
    assert.deepEqual(
      written.map(textOf),
      written.map(() => text),
    );
});

test("what is no address is none", () => {
  const none = [
    ...[
      "",
      "localhost",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.256",
      "01.2.3.4",
      "1.2.3.04",
      "1.2.3.4 ",
      "1.2.3.4:22",
      "1.2.3.4/24",
      "1..2.3",
      "+1.2.3.4",
    ],
    ...[
      ":",
      ":::",
      "1::2::3",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8::",
      "::12345",
      "::g",
      "fe80::1%eth0",
      "[::1]",
      "::1/48",
    ],
    ...["::1.2.3", "1.2.3.4::", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", `::${"0".repeat(60)}1`],
  ];
  assert.deepEqual(
    none.filter((text) => parseAddress(text) !== undefined),
    [],
  );
});

test("a network is the /24 or the /48", () => {
  const network = (text: string): string => networkOf(parseAddress(text)!);
  assert.equal(network("198.51.100.255"), "198.51.100.0/24");
  assert.equal(network("::ffff:198.51.100.7"), "198.51.100.0/24");
  assert.equal(network("2001:DB8:1:ffff::9"), "2001:db8:1::/48");
  assert.equal(network("::1"), "::/48");
  assert.equal(network("1:0:0:4::"), "1::/48");
});

test("any address is read as Node reads it, in any spelling, and so is what may be none", () => {
  const dice = new Dice(11);
  const group = (): string => (dice.chance(0.4) ? "0" : dice.between(0, 65_536).toString(16));
  for (let i = 0; i < 20_000; i++) {
    const groups = Array.from({ length: dice.between(1, 10) }, group);
    if (dice.chance(0.5)) groups.splice(dice.between(0, groups.length), dice.between(0, 4), "");
    if (dice.chance(0.2)) groups.push([1, 2, 3, 4].map(() => dice.between(0, 300)).join("."));
    const written = dice.chance(0.2) ? groups.slice(-1).join() : groups.join(":");
    assert.equal(textOf(written), plainAddress(written), written);
    const text = textOf(written);
    if (text === undefined) continue;
    assert.equal(networkOf(parseAddress(text)!), plainNetwork(text), written);
    assert.equal(textOf(text), text);
  }
});

test("the generator's other spellings mean the same address and are no key's text", () => {
  const dice = new Dice(5);
  for (let i = 0; i < 500; i++) {
    const ip = dice.chance(0.5) ? `198.18.${dice.between(0, 256)}.7` : `2001:db8:${dice.between(1, 500).toString(16)}:2::1f`;
    const other = spelledOtherwise(ip, dice);
    assert.notEqual(other, ip);
    assert.equal(textOf(other), ip, other);
  }
});
