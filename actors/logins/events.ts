/** What both jobs about logins take and tell. Instants in outputs are RFC 3339. */
import { type Static, Type } from "typebox";
import { output, stream } from "../model/stream.ts";
import { parseAddress } from "./address.ts";

const Ip = Type.Refine(
  Type.String(),
  (text) => parseAddress(text) !== undefined,
  () => "must be an IPv4 or IPv6 address",
);

/** A user's name as it was given may be anything, and an attacker gives it: none is refused for its length. */
const LoginData = Type.Object({
  userId: Type.String(),
  result: Type.Union([Type.Literal("failed"), Type.Literal("success")]),
  ip: Ip,
});

export type Login = Static<typeof LoginData>;

export const login = stream("login", { schema: LoginData });

const Text = Type.String();
const Texts = Type.Array(Text);
const attempts = { ip: Text, failedAttempts: Type.Integer(), firstAt: Text, lastAt: Text, users: Texts };

export const failedLogins = output("alert.failed-logins", { schema: Type.Object(attempts) });

export const breachSuspected = output("alert.breach-suspected", {
  schema: Type.Object({ ...attempts, userId: Text, succeededAt: Text }),
});

export const concurrentSessions = output("alert.concurrent-sessions", {
  schema: Type.Object({ userId: Text, networks: Texts, ips: Texts }),
});

export const Reason = Type.Union([Type.Literal("hour"), Type.Literal("network")]);

export const unusualAccess = output("alert.unusual-access", {
  schema: Type.Object({ userId: Text, at: Text, ip: Text, network: Text, reasons: Type.Array(Reason), score: Type.Number() }),
});
