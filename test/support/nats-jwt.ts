/** Credentials of NATS as an operator makes them: an account that a server trusts, and users of it, each with a JWT and a seed. */
import { nkeys } from "@nats-io/transport-node";

type KeyPair = ReturnType<typeof nkeys.createUser>;

const UNLIMITED = { subs: -1, data: -1, payload: -1 };

export class TestOperator {
  readonly #account = nkeys.createAccount();
  /** For a server's configuration. */
  readonly config: string;

  constructor() {
    const operator = nkeys.createOperator();
    const limits = { ...UNLIMITED, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
    const accountClaims = { type: "account", version: 2, limits, default_permissions: { pub: {}, sub: {} } };
    const operatorJwt = jwt(operator, operator.getPublicKey(), { type: "operator", version: 2 });
    const [system, account] = [nkeys.createAccount(), this.#account].map((pair) => pair.getPublicKey()) as [string, string];
    const preload = [system, account].map((key) => `${key}: "${jwt(operator, key, accountClaims)}"`);
    this.config = `operator: "${operatorJwt}"\nsystem_account: ${system}\nresolver: MEMORY\nresolver_preload: { ${preload.join(", ")} }`;
  }

  /** The content of a file of credentials. `expires`: in seconds since 1970. */
  creds(name: string, expires?: number): string {
    const user = nkeys.createUser();
    const claims = { type: "user", version: 2, pub: {}, sub: {}, ...UNLIMITED };
    const token = jwt(this.#account, user.getPublicKey(), claims, { name, ...(expires === undefined ? {} : { exp: expires }) });
    const seed = Buffer.from(user.getSeed()).toString();
    return `-----BEGIN NATS USER JWT-----\n${token}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
  }
}

function jwt(issuer: KeyPair, subject: string, nats: object, more: object = {}): string {
  const claims = { jti: subject, iat: 1_700_000_000, iss: issuer.getPublicKey(), sub: subject, nats, ...more };
  const text = [{ typ: "JWT", alg: "ed25519-nkey" }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString("base64url")}`;
}
