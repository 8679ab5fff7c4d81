/** Failures of one address, one situation at a time: the rules of actors/logins/README.md. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ip } from "../../actors/logins/logins.ts";
import { at, Gate, MINUTE, named, T0 } from "./gate.ts";

const MS = 1 / MINUTE;

suite("failed logins", () => {
  test("are told of at the third within ten minutes, with all that is known of the three", async () => {
    const gate = await Gate.byAddress();
    await gate.fails(0, { userId: "chen" });
    await gate.fails(2, { userId: "amara" });
    await gate.fails(5, { userId: "chen" });
    const [alert, ...more] = await gate.told();
    assert.deepEqual(more, []);
    const data = { ip: "192.0.2.1", failedAttempts: 3, firstAt: at(0), lastAt: at(5), users: ["amara", "chen"] };
    assert.deepEqual([alert!.type, alert!.time, alert!.data], ["alert.failed-logins", T0 + 5 * MINUTE, data]);
  });

  test("of which there are two are nobody's concern", async () => {
    const gate = await Gate.byAddress();
    await gate.fails(0);
    await gate.fails(1);
    assert.deepEqual(await gate.told(), []);
  });

  test("count when the third comes exactly ten minutes behind the first, and not a millisecond later", async () => {
    for (const [third, expected] of [
      [10, ["failed-logins 10"]],
      [10 + MS, []],
    ] as const) {
      const gate = await Gate.byAddress();
      await gate.fails(0);
      await gate.fails(6);
      await gate.fails(third);
      assert.deepEqual(named(await gate.told()), expected);
    }
  });

  test("are told of once, however many follow; the others are counted as suppressed", async () => {
    const gate = await Gate.byAddress();
    for (let minutes = 0; minutes < 60; minutes += 2) await gate.fails(minutes);
    assert.deepEqual(named(await gate.told()), ["failed-logins 4"]);
    assert.deepEqual([gate.kit.counts.alertsEmitted, gate.kit.counts.alertsSuppressed], [1, 27]);
  });

  test("that are too far apart go on for ever without an alert, and the count of the run does not add up", async () => {
    const gate = await Gate.byAddress();
    for (let i = 0; i < 20; i++) await gate.fails(i * 5.1);
    assert.deepEqual(await gate.told(), []);
  });

  test("are told of again behind more than ten minutes without one, and not behind exactly ten", async () => {
    for (const [pause, expected] of [
      [10, [2]],
      [10 + MS, [2, 14]],
    ] as const) {
      const gate = await Gate.byAddress();
      for (const minutes of [0, 1, 2, 2 + pause, 3 + pause, 4 + pause]) await gate.fails(minutes);
      const minutes = (await gate.told()).map(({ time }) => Math.round((time - T0) / MINUTE));
      assert.deepEqual(minutes, expected);
    }
  });

  test("are told of again behind a success, which takes those before it out of the count", async () => {
    const gate = await Gate.byAddress();
    for (const minutes of [0, 1, 2]) await gate.fails(minutes);
    await gate.succeeds(3);
    await gate.fails(4);
    await gate.fails(5);
    await gate.succeeds(6);
    for (const minutes of [7, 8, 9]) await gate.fails(minutes);
    assert.deepEqual(named(await gate.told()), ["failed-logins 2", "breach-suspected 3", "failed-logins 9"]);
  });

  test("and a success of one time stand in the order of the log", async () => {
    const gate = await Gate.byAddress();
    for (const minutes of [0, 1]) await gate.fails(minutes);
    await gate.succeeds(3);
    for (const minutes of [3, 4, 5]) await gate.fails(minutes);
    await gate.succeeds(5);
    assert.deepEqual(named(await gate.told()), ["failed-logins 5", "breach-suspected 5"]);
  });

  test("of one address say nothing of another", async () => {
    const gate = await Gate.byAddress();
    await gate.fails(0, { ip: "192.0.2.1" });
    await gate.fails(1, { ip: "192.0.2.2" });
    await gate.fails(2, { ip: "192.0.2.1" });
    await gate.fails(3, { ip: "192.0.2.3" });
    assert.deepEqual(await gate.told(), []);
  });

  test("by a name that has no end, or none, count like any other; it is kept as far as 256 characters", async () => {
    const gate = await Gate.byAddress();
    await gate.fails(0, { userId: "" });
    await gate.fails(1, { userId: "x".repeat(100_000) });
    await gate.fails(2, { userId: `${"y".repeat(255)}😀` });
    const [alert] = await gate.told();
    assert.deepEqual(alert!.data.users, ["", "x".repeat(256), `${"y".repeat(255)}\uFFFD`]);
  });
});

suite("a success behind failures", () => {
  test("is a suspected breach when three of them lie in the ten minutes before it, whoever succeeds", async () => {
    const gate = await Gate.byAddress();
    for (const minutes of [0, 1, 2, 3]) await gate.fails(minutes, { userId: `u${minutes}` });
    await gate.succeeds(8, { userId: "dina" });
    const [, breach] = await gate.told();
    const users = ["u0", "u1", "u2", "u3"];
    const known = { ip: "192.0.2.1", failedAttempts: 4, firstAt: at(0), lastAt: at(3), users, userId: "dina", succeededAt: at(8) };
    assert.deepEqual([breach!.type, breach!.time, breach!.data], ["alert.breach-suspected", T0 + 8 * MINUTE, known]);
  });

  test("is one at exactly ten minutes behind the third last, and not a millisecond later", async () => {
    for (const [success, expected] of [
      [11, ["failed-logins 2", "breach-suspected 11"]],
      [11 + MS, ["failed-logins 2"]],
    ] as const) {
      const gate = await Gate.byAddress();
      for (const minutes of [0, 1, 2, 3]) await gate.fails(minutes);
      await gate.succeeds(success);
      assert.deepEqual(named(await gate.told()), expected);
    }
  });

  test("is none behind two, and a second success right behind the first is none either", async () => {
    const gate = await Gate.byAddress();
    await gate.fails(0);
    await gate.fails(1);
    await gate.succeeds(2);
    for (const minutes of [3, 4, 5]) await gate.fails(minutes);
    await gate.succeeds(6);
    await gate.succeeds(7);
    assert.deepEqual(named(await gate.told()), ["failed-logins 5", "breach-suspected 6"]);
  });

  test("names at most the last hundred failures", async () => {
    const gate = await Gate.byAddress();
    for (let i = 0; i < 150; i++) await gate.fails(i / 60);
    await gate.succeeds(5);
    const [, breach] = await gate.told();
    assert.deepEqual([breach!.data.failedAttempts, breach!.data.firstAt], [100, at(50 / 60)]);
  });
});

suite("disorder", () => {
  test("within the ten seconds changes nothing: an alert waits until the watermark has passed its login", async () => {
    const gate = await Gate.byAddress();
    await gate.fails(0.1);
    await gate.succeeds(0.05);
    await gate.fails(0.02);
    await gate.fails(0);
    await gate.passed(0.04);
    assert.deepEqual(gate.alerts(), []);
    await gate.fails(0.11);
    assert.deepEqual(named(await gate.told()), []);
  });

  test("takes no alert from a source whose logins all come minutes behind, in their order", async () => {
    const gate = await Gate.byAddress();
    await gate.passed(4);
    for (const minutes of [0, 1, 2]) await gate.fails(minutes);
    assert.deepEqual(named(gate.alerts()), ["failed-logins 2"]);
    await gate.succeeds(3);
    assert.deepEqual(named(gate.alerts()), ["breach-suspected 3"]);
  });

  test("beyond it lets a failure that comes behind a later one be the third, at the later one's time", async () => {
    const gate = await Gate.byAddress();
    await gate.fails(0);
    await gate.fails(3);
    await gate.passed(4);
    const id = await gate.fails(1);
    const [alert] = gate.kit.outputs("failedLogins");
    assert.deepEqual([alert!.time, alert!.causeId, alert!.data.lastAt], [T0 + 3 * MINUTE, id, at(3)]);
  });

  test("beyond it lets a failure that lies before a success that was taken count for nothing", async () => {
    const gate = await Gate.byAddress();
    await gate.fails(0);
    await gate.fails(1);
    await gate.succeeds(3);
    await gate.passed(4);
    await gate.fails(2);
    await gate.fails(5);
    await gate.fails(6);
    assert.deepEqual(await gate.told(), []);
  });

  test("beyond it lets a success still end the run at its time, and be a breach", async () => {
    const gate = await Gate.byAddress();
    for (const minutes of [0, 1, 2, 4, 5]) await gate.fails(minutes);
    await gate.passed(6);
    assert.deepEqual(named(gate.alerts()), ["failed-logins 2"]);
    await gate.succeeds(3);
    const [breach, ...more] = gate.alerts();
    assert.deepEqual([breach!.type, breach!.data.failedAttempts, more], ["alert.breach-suspected", 3, []]);
    await gate.fails(6.5);
    assert.deepEqual(named(await gate.told()), ["failed-logins 6.5"]);
  });

  test("beyond it lets a success make two runs of one: the later one is told of too, where it is enough for that", async () => {
    const gate = await Gate.byAddress();
    for (const minutes of [0, 1, 2, 3.5, 4, 4.5]) await gate.fails(minutes);
    await gate.passed(6);
    assert.deepEqual(named(gate.alerts()), ["failed-logins 2"]);
    const id = await gate.succeeds(3);
    const [alert] = gate.kit.outputs("failedLogins");
    assert.equal(alert!.causeId, id);
    assert.deepEqual(named(gate.alerts()), ["failed-logins 4.5", "breach-suspected 3"]);
  });

  test("beyond it lets a success at the time of the alert leave a run that was not told of", async () => {
    const gate = await Gate.byAddress();
    for (const minutes of [0, 1, 2, 4]) await gate.fails(minutes);
    await gate.passed(5);
    await gate.succeeds(2);
    assert.deepEqual(named(gate.alerts()), ["failed-logins 2", "breach-suspected 2"]);
    await gate.fails(5.5);
    await gate.fails(6);
    assert.deepEqual(named(await gate.told()), ["failed-logins 6"]);
  });

  test("beyond it lets a success before the alert leave it as it is", async () => {
    const gate = await Gate.byAddress();
    for (const minutes of [0, 1, 2, 3, 4]) await gate.fails(minutes);
    await gate.passed(5);
    await gate.succeeds(0.5);
    await gate.fails(6);
    assert.deepEqual(named(await gate.told()), ["failed-logins 2"]);
  });

  test("by more than five minutes behind the watermark makes a login late, and it changes nothing", async () => {
    const gate = await Gate.byAddress();
    await gate.fails(0);
    await gate.fails(1);
    await gate.passed(20);
    await gate.fails(2);
    assert.equal(gate.kit.late().length, 1);
    assert.deepEqual(await gate.told(), []);
  });
});

suite("an address", () => {
  test("that is another one than the key goes to quarantine; one in another spelling does not", async () => {
    const gate = await Gate.byAddress();
    await gate.fails(0, { key: "192.0.2.1", ip: "192.0.2.2" });
    await gate.fails(1, { key: "proxy", ip: "192.0.2.2" });
    assert.deepEqual(
      gate.kit.quarantined().map(({ data }) => data.code),
      ["ip-mismatch", "ip-mismatch"],
    );
    await gate.fails(0, { key: "192.0.2.1", ip: "::ffff:192.0.2.1" });
    await gate.fails(1, { key: "192.0.2.1", ip: "::FFFF:C000:201" });
    await gate.fails(2, { key: "192.0.2.1", ip: "192.0.2.1" });
    const [alert] = await gate.told();
    assert.equal(alert!.data.ip, "192.0.2.1");
  });

  test("whose key is not its text is told of once a day, and taken", async () => {
    const gate = await Gate.byAddress();
    const key = "2001:DB8::1";
    for (const minutes of [0, 1, 2, 24 * 60 - 1, 24 * 60]) await gate.fails(minutes, { key, ip: "2001:db8::1" });
    assert.deepEqual(
      gate.kit.outputs().flatMap(({ type, time, data }) => (type === "tidemark.quality" ? [[time, data]] : [])),
      [0, 24 * 60].map((minutes, i) => [
        T0 + minutes * MINUTE,
        { rule: "key-spelling", detail: { key, address: "2001:db8::1" }, eventId: i === 0 ? "e1" : "e5" },
      ]),
    );
    assert.deepEqual(named(await gate.told()), ["failed-logins 2"]);
  });

  test("that is none goes to quarantine", async () => {
    const gate = await Gate.byAddress();
    const event = { specversion: "1.0", id: "x", source: "/test", type: "login", subject: "10.1.2.3", time: at(0) };
    await gate.kit.sendRaw({ ...event, data: { userId: "amara", result: "failed", ip: "10.1.2.03" } });
    const told = gate.kit.quarantined().map(({ data }) => data as { readonly code?: string; readonly reason?: string });
    assert.deepEqual([told[0]!.code, told[0]!.reason], ["schema", "data /ip must be an IPv4 or IPv6 address"]);
  });

  test("is forgotten twenty minutes behind its last login", async () => {
    const gate = await Gate.byAddress();
    await gate.fails(0);
    await gate.passed(19);
    assert.equal(gate.kit.actor(ip, "192.0.2.1")!.state.run.failures.length, 1);
    await gate.passed(20);
    assert.deepEqual(gate.kit.actor(ip, "192.0.2.1")?.state.run.failures ?? [], []);
  });
});
