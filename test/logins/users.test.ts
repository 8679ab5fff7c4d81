/** Logins of one user, one situation at a time: the rules of actors/logins-by-user/README.md. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { loginUser } from "../../actors/logins-by-user/logins-by-user.ts";
import { at, Gate, HOUR, MINUTE, named, T0 } from "./gate.ts";

const MS = 1 / MINUTE;
const DAY = 24 * 60;
const HOME = "192.0.2.1";
const OFFICE = "198.51.100.7";
const PHONE = "2001:db8:1:5::7";

suite("logins from two networks", () => {
  test("within five minutes are told of, with all networks and addresses", async () => {
    const gate = await Gate.byUser();
    await gate.succeeds(0, { ip: HOME });
    await gate.succeeds(1, { ip: "192.0.2.9" });
    await gate.succeeds(3, { ip: PHONE });
    const [alert, ...more] = await gate.told();
    assert.deepEqual(more, []);
    const data = { userId: "amara", networks: ["192.0.2.0/24", "2001:db8:1::/48"], ips: [HOME, "192.0.2.9", PHONE] };
    assert.deepEqual([alert!.type, alert!.time, alert!.data], ["alert.concurrent-sessions", T0 + 3 * MINUTE, data]);
  });

  test("are told of at exactly five minutes, and not a millisecond later", async () => {
    for (const [second, count] of [
      [5, 1],
      [5 + MS, 0],
    ] as const) {
      const gate = await Gate.byUser();
      await gate.succeeds(0, { ip: HOME });
      await gate.succeeds(second, { ip: OFFICE });
      assert.equal((await gate.told()).length, count);
    }
  });

  test("are none where the addresses lie in one /24 or /48, or are one address in two spellings", async () => {
    const gate = await Gate.byUser();
    await gate.succeeds(0, { ip: HOME });
    await gate.succeeds(1, { ip: "192.0.2.254" });
    await gate.succeeds(2, { ip: "::ffff:192.0.2.77" });
    await gate.succeeds(20, { ip: PHONE });
    await gate.succeeds(21, { ip: "2001:DB8:0001:FFFF::1" });
    assert.deepEqual(await gate.told(), []);
  });

  test("are none where one of them failed, or the users are two", async () => {
    const gate = await Gate.byUser();
    await gate.succeeds(0, { ip: HOME });
    await gate.fails(1, { ip: OFFICE });
    await gate.succeeds(2, { ip: OFFICE, userId: "bela" });
    assert.deepEqual(await gate.told(), []);
  });

  test("are not told of again while they are the same; a third network is, and so is the same behind a pause", async () => {
    const gate = await Gate.byUser();
    for (const [minutes, ip] of [
      [0, HOME],
      [1, OFFICE],
      [2, HOME],
      [4, OFFICE],
      [5, PHONE],
    ] as const)
      await gate.succeeds(minutes, { ip });
    await gate.passed(6);
    assert.deepEqual(named(gate.alerts()), ["concurrent-sessions 1", "concurrent-sessions 5"]);
    assert.equal(gate.kit.counts.alertsSuppressed, 2);
    await gate.succeeds(20, { ip: HOME });
    await gate.succeeds(21, { ip: OFFICE });
    assert.deepEqual(named(await gate.told()), ["concurrent-sessions 21"]);
  });

  test("are told of when the earlier one comes behind the later", async () => {
    const gate = await Gate.byUser();
    await gate.succeeds(4, { ip: HOME });
    await gate.passed(5);
    await gate.succeeds(1, { ip: OFFICE });
    assert.deepEqual(named(gate.alerts()), ["concurrent-sessions 1"]);
  });
});

suite("a login unlike the user", () => {
  /** Ten mornings at nine from home. */
  async function settled(days = 10): Promise<Awaited<ReturnType<typeof Gate.byUser>>> {
    const gate = await Gate.byUser();
    for (let day = 0; day < days; day++) await gate.succeeds(day * DAY, { ip: HOME });
    return gate;
  }

  test("is told of with its reasons and its score", async () => {
    const gate = await settled();
    await gate.succeeds(10 * DAY + 4 * 60, { ip: OFFICE });
    const [alert, ...more] = await gate.told();
    assert.deepEqual(more, []);
    const time = 10 * DAY + 4 * 60;
    const place = { ip: OFFICE, network: "198.51.100.0/24" };
    const data = { userId: "amara", at: at(time), ...place, reasons: ["hour", "network"], score: 1 };
    assert.deepEqual([alert!.type, alert!.time, alert!.data], ["alert.unusual-access", T0 + time * MINUTE, data]);
  });

  test("has one reason where the other holds not: the hours beside the usual one are usual", async () => {
    const gate = await settled();
    await gate.succeeds(10 * DAY + 60, { ip: OFFICE });
    await gate.succeeds(11 * DAY - 60, { ip: HOME });
    await gate.succeeds(11 * DAY + 180, { ip: HOME });
    const reasons = (await gate.told()).map(({ data }) => data.reasons);
    assert.deepEqual(reasons, [["network"], ["hour"]]);
  });

  test("is not told of before ten logins, nor before five days", async () => {
    const few = await settled(9);
    await few.succeeds(9 * DAY + 240, { ip: OFFICE });
    assert.deepEqual(await few.told(), []);
    for (const [minutes, count] of [
      [5 * DAY - MS, 0],
      [5 * DAY, 1],
    ] as const) {
      const quick = await Gate.byUser();
      for (let i = 0; i < 12; i++) await quick.succeeds(i, { ip: HOME });
      await quick.succeeds(minutes, { ip: OFFICE });
      assert.equal((await quick.told()).length, count);
    }
  });

  test("is judged by shares: of twenty logins one makes an hour and a network usual, of twenty-one not", async () => {
    for (const [usual, expected] of [
      [19, []],
      [20, [0.9977]],
    ] as const) {
      const gate = await settled(usual);
      await gate.succeeds(usual * DAY + 240, { ip: OFFICE });
      await gate.passed(usual * DAY + 241);
      gate.alerts();
      await gate.succeeds((usual + 1) * DAY + 240, { ip: OFFICE });
      const scores = (await gate.told()).map(({ data }) => data.score);
      assert.deepEqual(scores, expected);
    }
  });

  test("becomes usual when it comes again and again, and what was usual fades", async () => {
    const gate = await settled(28);
    for (let day = 28; day < 140; day++) await gate.succeeds(day * DAY + 240, { ip: OFFICE });
    await gate.passed(140 * DAY);
    assert.equal(gate.alerts().length, 1);
    const { networks, hours } = gate.kit.actor(loginUser, "amara")!.state.baseline!;
    assert(networks.find(({ network }) => network === "192.0.2.0/24")!.count < 4);
    assert(hours[9]! < 4 && hours[13]! > 28);
  });

  test("is forgiven who was away for over a year, or for as long as it takes all counts to fade", async () => {
    for (const [logins, away, count] of [
      [1_100, 365, 1],
      [1_100, 365 + MS / DAY, 0],
      [10, 7 * 28, 0],
      [10, 5 * 28, 1],
    ] as const) {
      const gate = await Gate.byUser();
      // All in an hour: sixty a minute, as an account of a machine would.
      for (let i = 0; i < logins; i++) await gate.succeeds(i / 80);
      await gate.succeeds((logins - 1) / 80 + away * DAY, { ip: OFFICE });
      assert.equal((await gate.told()).length, count, `${logins} ${away}`);
    }
  });

  test("is judged by stragglers too: the first one, and one of the period before, which is half a login", async () => {
    const gate = await Gate.byUser();
    const turn = -9 * 60;
    await gate.succeeds(turn + 1, { ip: HOME });
    await gate.passed(turn + 2);
    await gate.succeeds(turn - 1, { ip: HOME });
    const { since, lastAt, logins, hours, networks } = gate.kit.actor(loginUser, "amara")!.state.baseline!;
    assert.deepEqual([since, lastAt, logins], [T0 + (turn - 1) * MINUTE, T0 + (turn + 1) * MINUTE, 2]);
    assert.deepEqual([hours[0], hours[23], networks.map(({ count }) => count)], [1, 0.5, [1.5]]);
  });

  test("is not judged by those that failed, and they teach nothing", async () => {
    const gate = await settled();
    await gate.fails(10 * DAY + 240, { ip: OFFICE });
    await gate.passed(10 * DAY + 241);
    assert.deepEqual(gate.alerts(), []);
    assert.equal(gate.kit.actor(loginUser, "amara")!.state.baseline!.networks.length, 1);
  });

  test("at midnight is beside the last hour of the day", async () => {
    const gate = await Gate.byUser();
    const eleven = (23 * HOUR - (T0 % (24 * HOUR))) / MINUTE;
    for (let day = 0; day < 10; day++) await gate.succeeds(eleven + day * DAY);
    await gate.succeeds(eleven + 9 * DAY + 90);
    assert.deepEqual(await gate.told(), []);
    await gate.succeeds(eleven + 10 * DAY + 120);
    assert.equal((await gate.told()).length, 0);
  });
});

test("a login whose key is not the user goes to quarantine", async () => {
  const gate = await Gate.byUser();
  await gate.succeeds(0, { key: "bela" });
  assert.deepEqual(
    gate.kit.quarantined().map(({ data }) => data.code),
    ["user-mismatch"],
  );
});
