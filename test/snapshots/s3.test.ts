/** Snapshots in S3 against a server that checks signatures and fails on demand. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { suite, test } from "node:test";
import { isTidemarkError } from "../../runtime/errors.ts";
import type { BlobStore } from "../../runtime/snapshots/blobs/blob-store.ts";
import { openBlobs } from "../../runtime/snapshots/blobs/open-blobs.ts";
import type { S3Fault, S3Server } from "../support/s3-server.ts";
import { type SignedRequest, signatureFault } from "../support/sigv4.ts";
import { BUCKET_SIZES, NO_CONNECTION, s3Blobs, setS3Keys } from "./blob-places.ts";

/** The example of AWS's own documentation: GET of a range, 24 May 2013. */
const SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const EXAMPLE: SignedRequest = {
  method: "GET",
  target: "/test.txt",
  headers: {
    host: "examplebucket.s3.amazonaws.com",
    range: "bytes=0-9",
    "x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "x-amz-date": "20130524T000000Z",
    authorization:
      "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  },
  body: new Uint8Array(0),
};
const RULES = { secrets: { AKIAIOSFODNN7EXAMPLE: SECRET }, now: Date.UTC(2013, 4, 24) };

suite("the S3 of the tests", () => {
  test("takes the signed example of AWS, and refuses it with anything changed", () => {
    assert.equal(signatureFault(EXAMPLE, RULES), undefined);
    const headers = EXAMPLE.headers;
    const authorization = String(headers.authorization);
    const cases: [string, SignedRequest, Partial<typeof RULES>?][] = [
      ["AccessDenied", { ...EXAMPLE, headers: { ...headers, authorization: undefined } }],
      ["AuthorizationHeaderMalformed", { ...EXAMPLE, headers: { ...headers, authorization: "Basic YTpi" } }],
      ["SignatureDoesNotMatch", { ...EXAMPLE, target: "/test.txt?x=1" }],
      ["SignatureDoesNotMatch", { ...EXAMPLE, target: "/tesT.txt" }],
      ["SignatureDoesNotMatch", { ...EXAMPLE, method: "PUT" }],
      ["SignatureDoesNotMatch", { ...EXAMPLE, headers: { ...headers, range: "bytes=0-8" } }],
      ["SignatureDoesNotMatch", { ...EXAMPLE, headers: { ...headers, authorization: authorization.replace(/1$/, "2") } }],
      ["SignatureDoesNotMatch", EXAMPLE, { secrets: { AKIAIOSFODNN7EXAMPLE: `${SECRET}x` } }],
      ["AccessDenied", { ...EXAMPLE, headers: { ...headers, "x-amz-acl": "public-read" } }],
      ["InvalidAccessKeyId", EXAMPLE, { secrets: {} as never }],
      ["XAmzContentSHA256Mismatch", { ...EXAMPLE, body: Buffer.from("x") }],
      ["RequestTimeTooSkewed", EXAMPLE, { now: RULES.now + 16 * 60_000 }],
      ["RequestTimeTooSkewed", EXAMPLE, { now: RULES.now - 16 * 60_000 }],
    ];
    for (const [fault, request, rules] of cases) assert.equal(signatureFault(request, { ...RULES, ...rules }), fault);
  });
});

/** What is thrown, with everything that it tells; no secret may be in it. */
async function refusal(server: S3Server, work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    assert.ok(isTidemarkError(error, "SNAPSHOT_STORE"), String(error));
    assert.ok(!error.message.includes(server.secretKey));
    return error.message;
  }
  assert.fail("it was taken");
}

function requests(server: S3Server, method: string): number {
  return server.seen.filter((line) => line.startsWith(`${method} `)).length;
}

const BYTES = randomBytes(300_000);

suite("snapshots in S3", () => {
  test("are signed with their content, lie below the prefix, and leave others alone", { timeout: 60_000 }, async (t) => {
    const { server, blobs } = await s3Blobs(t, { prefix: "Prod/it's_(risk)", pageSize: 3 });
    server.objects.set("other/a", Buffer.from("foreign"));
    const names = ["job/shards/0/a", "job/shards/0/b", ...Array.from({ length: 8 }, (_, i) => `job/snapshots/${i}`)];
    for (const name of names) await blobs.put(name, BYTES);
    assert.deepEqual(
      [...server.objects.keys()].filter((key) => key !== "other/a").sort(),
      names.map((name) => `Prod/it's_(risk)/${name}`).sort(),
    );
    assert.deepEqual(
      await blobs.list("job/snapshots/"),
      names.slice(2).map((name) => ({ name, bytes: BYTES.length })),
    );
    assert.equal(server.seen.filter((line) => line.includes("continuation-token")).length, 2);
    assert.ok(BYTES.equals((await blobs.get("job/shards/0/a"))!));
    for (const name of names) await blobs.delete(name);
    assert.deepEqual([...server.objects.keys()], ["other/a"]);
    assert.deepEqual(server.refused, []);
  });

  test("are written and read though single requests fail, are throttled, or break off in the middle", { timeout: 120_000 }, async (t) => {
    const { server, blobs } = await s3Blobs(t);
    for (const fault of ["internalError", "slowDown", "reset", "resetUpload"] satisfies S3Fault[]) {
      server.faults.push(fault);
      await blobs.put(`put/${fault.toLowerCase()}`, BYTES);
    }
    assert.equal(requests(server, "PUT"), 8);
    for (const bytes of server.objects.values()) assert.ok(BYTES.equals(bytes));
    const before = requests(server, "GET");
    for (const fault of ["internalError", "slowDown", "reset", "resetBody", "truncate"] satisfies S3Fault[]) {
      server.faults.push(fault);
      assert.ok(BYTES.equals((await blobs.get("put/reset"))!), fault);
    }
    assert.equal(requests(server, "GET") - before, 10);
    server.faults.push("slowDown");
    assert.equal((await blobs.list("put/")).length, 4);
    server.faults.push("internalError");
    await blobs.delete("put/reset");
    assert.equal(await blobs.get("put/reset"), undefined);
  });

  test("that cannot be stored are given up after a bounded number of tries, and nothing of them is seen", {
    timeout: 120_000,
  }, async (t) => {
    const { server, blobs } = await s3Blobs(t);
    const upload = Array<S3Fault>(4).fill("resetUpload");
    server.faults.push(...upload);
    assert.match(
      await refusal(server, blobs.put("job/a", BYTES)),
      /^SNAPSHOT_STORE: s3:\/\/tidemark-test\/ at http:\/\/127\.0\.0\.1:\d+: "job\/a" cannot be written/,
    );
    assert.equal(requests(server, "PUT"), 4);
    assert.deepEqual([await blobs.get("job/a"), await blobs.list("")], [undefined, []]);
    server.faults.push("quota");
    assert.match(await refusal(server, blobs.put("job/a", BYTES)), /QuotaExceeded.*The store is full: make room/);
    await blobs.put("job/a", BYTES);
    server.faults.push("truncate", "truncate", "truncate");
    assert.match(await refusal(server, blobs.get("job/a")), /"job\/a" cannot be read/);
    server.faults.push("flip");
    const flipped = (await blobs.get("job/a"))!;
    assert.ok(flipped.length === BYTES.length && !BYTES.equals(flipped), "a flipped bit is the checksums' to find");
    assert.deepEqual(server.faults, []);
  });

  test("say what to correct when the keys or the bucket are wrong, or nobody listens, and follow the store's clock", {
    timeout: 120_000,
  }, async (t) => {
    const { server, blobs } = await s3Blobs(t);
    server.skewMs = 20 * 60_000;
    // A refusal tells the server's time: the client signs by it from then on.
    await blobs.put("job/a", BYTES);
    assert.deepEqual(server.refused, ["RequestTimeTooSkewed"]);
    server.skewMs = 0;
    const wrong = await openS3(server, { AWS_SECRET_ACCESS_KEY: "another" });
    t.after(() => wrong.close());
    assert.match(await refusal(server, wrong.get("job/a")), /SignatureDoesNotMatch.*Correct AWS_SECRET_ACCESS_KEY/);
    const unknown = await openS3(server, { AWS_ACCESS_KEY_ID: "AKIDNOBODY" });
    t.after(() => unknown.close());
    assert.match(await refusal(server, unknown.put("job/a", BYTES)), /InvalidAccessKeyId.*Correct AWS_ACCESS_KEY_ID/);
    const elsewhere = await openS3(server, {}, "another-bucket");
    t.after(() => elsewhere.close());
    assert.match(await refusal(server, elsewhere.get("job/a")), /NoSuchBucket.*Create the bucket/);
    assert.match(await refusal(server, elsewhere.list("")), /NoSuchBucket/);
    await server.close();
    assert.match(await refusal(server, blobs.put("job/b", BYTES)), /ECONNREFUSED.*Nobody listens there/);
    assert.match(await refusal(server, blobs.list("")), /ECONNREFUSED/);
  });

  test("are asked for a bounded number at a time", { timeout: 60_000 }, async (t) => {
    const { server, blobs } = await s3Blobs(t);
    server.faults.push("hang", "hang", "hang", "hang");
    const hanging = Promise.allSettled(Array.from({ length: 4 }, () => blobs.get("job/a")));
    const waiting = Promise.allSettled(Array.from({ length: 20 }, () => blobs.get("job/a")));
    let ended = false;
    hanging.then(() => (ended = true));
    while (server.faults.length > 0 && !ended) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(server.seen.length, 4);
    await server.close();
    const ends = [...(await hanging), ...(await waiting)];
    assert.ok(ends.every(({ status }) => status === "rejected"));
  });
});

async function openS3(server: S3Server, env: Readonly<Record<string, string>>, bucket = server.bucket): Promise<BlobStore> {
  setS3Keys(server, env);
  return await openBlobs({ snapshots: { kind: "s3", bucket, prefix: "" }, s3Endpoint: server.url }, NO_CONNECTION, BUCKET_SIZES);
}
