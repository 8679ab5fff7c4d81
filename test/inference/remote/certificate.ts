/**
 * Certificates for tests of TLS, made with nothing but node:crypto: their DER is written here, for Node reads
 * certificates and makes none.
 */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly issuer: Issuer;
}

interface Issuer {
  readonly name: string;
  readonly key: KeyObject;
}

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OID = 0x06;
const UTF8_STRING = 0x0c;
const SEQUENCE = 0x30;
const SET = 0x31;
const GENERALIZED_TIME = 0x18;

const ECDSA_SHA256 = der(SEQUENCE, der(OID, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
const COMMON_NAME = der(OID, [0x55, 0x04, 0x03]);
const ALTERNATIVE_NAMES = der(OID, [0x55, 0x1d, 0x11]);
const BASIC_CONSTRAINTS = der(OID, [0x55, 0x1d, 0x13]);

/** For 127.0.0.1, or for another host; signed by itself, or by `issuer`. */
export function makeCertificate({ host, issuer }: { readonly host?: string; readonly issuer?: Issuer } = {}): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const own: Issuer = { name: issuer === undefined ? "an authority of the tests" : "a server of the tests", key: privateKey };
  const by = issuer ?? own;
  const alternative = host === undefined ? der(0x87, [127, 0, 0, 1]) : der(0x82, Buffer.from(host));
  const isAuthority = der(SEQUENCE, issuer === undefined ? der(0x01, [0xff]) : []);
  const extensions = der(
    SEQUENCE,
    der(SEQUENCE, ALTERNATIVE_NAMES, der(OCTET_STRING, der(SEQUENCE, alternative))),
    der(SEQUENCE, BASIC_CONSTRAINTS, der(OCTET_STRING, isAuthority)),
  );
  const content = der(
    SEQUENCE,
    der(0xa0, der(INTEGER, [2])),
    der(INTEGER, [1, issuer === undefined ? 1 : 2]),
    ECDSA_SHA256,
    nameOf(by.name),
    der(SEQUENCE, der(GENERALIZED_TIME, Buffer.from("20200101000000Z")), der(GENERALIZED_TIME, Buffer.from("21200101000000Z"))),
    nameOf(own.name),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, extensions),
  );
  const signature = der(BIT_STRING, [0], sign("sha256", content, by.key));
  const whole = der(SEQUENCE, content, ECDSA_SHA256, signature).toString("base64");
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${whole.replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    issuer: own,
  };
}

function nameOf(text: string): Buffer {
  return der(SEQUENCE, der(SET, der(SEQUENCE, COMMON_NAME, der(UTF8_STRING, Buffer.from(text)))));
}

function der(tag: number, ...parts: readonly (Buffer | readonly number[])[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const { length } = content;
  const lengthBytes = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...lengthBytes]), content]);
}
