// Checks of the official JavaScript client against a running server.
//
// `node checks.mjs NAME` runs one check against the server at NATS_URL and exits 0 when it held.
// NATS_MODULES is the folder that npm installed into: nothing is installed beside this file.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.NATS_MODULES}/package.json`);
const nats = await import(pathToFileURL(require.resolve("@nats-io/transport-node")).href);
const { connect, headers, nkeyAuthenticator, errors } = nats;

const servers = process.env.NATS_URL;
const CHECK_TIME_MAX_MS = 20_000;

// A connection that never tries again: a server that closes it must fail the check.
const plain = (options = {}) => connect({ servers, reconnect: false, ...options });

async function take(subscription, count) {
  const taken = [];
  if (count === 0) return taken;
  for await (const message of subscription) {
    taken.push(message);
    if (taken.length === count) break;
  }
  return taken;
}

async function refused(options) {
  await assert.rejects(plain(options), errors.AuthorizationError);
}

async function admitted(options) {
  const client = await plain(options);
  const subscription = client.subscribe("in", { max: 1 });
  client.publish("in");
  assert.equal((await take(subscription, 1)).length, 1);
  await client.close();
}

const checks = {
  async "publish-subscribe"() {
    const [publisher, listener] = [await plain(), await plain()];
    const subscription = listener.subscribe("orders.new");
    await listener.flush();
    for (let number = 0; number < 1000; number++) publisher.publish("orders.new", `${number}`);
    const texts = (await take(subscription, 1000)).map((message) => message.string());
    assert.deepEqual(texts, Array.from({ length: 1000 }, (_, number) => `${number}`));
    await Promise.all([publisher.close(), listener.close()]);
  },

  async wildcards() {
    const client = await plain();
    const one = client.subscribe("a.*.c");
    const rest = client.subscribe("a.>");
    for (const subject of ["a.b.c", "a.b", "b.b.c", "a.x.c"]) client.publish(subject);
    const subjects = (messages) => messages.map((message) => message.subject);
    assert.deepEqual(subjects(await take(one, 2)), ["a.b.c", "a.x.c"]);
    assert.deepEqual(subjects(await take(rest, 3)), ["a.b.c", "a.b", "a.x.c"]);
    await client.close();
  },

  async "request-reply"() {
    const [requester, responder] = [await plain(), await plain()];
    responder.subscribe("double", {
      callback: (_, message) => message.respond(message.string().repeat(2)),
    });
    await responder.flush();
    for (let number = 0; number < 100; number++) {
      const answer = await requester.request("double", `${number}`);
      assert.equal(answer.string(), `${number}${number}`);
    }
    const alone = await requester.request("double", "x", { noMux: true, timeout: 2000 });
    assert.equal(alone.string(), "xx");
    await Promise.all([requester.close(), responder.close()]);
  },

  async "request-many"() {
    const client = await plain();
    client.subscribe("several", {
      callback: (_, message) => [1, 2, 3].forEach((number) => message.respond(`${number}`)),
    });
    const answers = await client.requestMany("several", "", {
      strategy: "count",
      maxMessages: 3,
      maxWait: 2000,
    });
    const texts = [];
    for await (const answer of answers) texts.push(answer.string());
    assert.deepEqual(texts, ["1", "2", "3"]);
    await client.close();
  },

  async "no-responders"() {
    const client = await plain();
    await assert.rejects(client.request("nobody.listens"), (error) => {
      const cause = error instanceof errors.NoRespondersError ? error : error.cause;
      return cause instanceof errors.NoRespondersError;
    });
    await client.close();
  },

  async "queue-group"() {
    const [publisher, worker] = [await plain(), await plain()];
    const counts = [0, 0, 0];
    const seen = new Set();
    counts.forEach((_, index) =>
      worker.subscribe("work", {
        queue: "workers",
        callback: (_, message) => {
          counts[index]++;
          seen.add(message.string());
        },
      })
    );
    const end = worker.subscribe("end");
    await worker.flush();
    for (let number = 0; number < 300; number++) publisher.publish("work", `${number}`);
    // One connection delivers in order: when `end` is here, so is all the work before it.
    publisher.publish("end");
    await take(end, 1);
    assert.equal(seen.size, 300);
    assert.equal(counts.reduce((sum, count) => sum + count), 300);
    assert.ok(counts.every((count) => count > 0), `${counts}`);
    await Promise.all([publisher.close(), worker.close()]);
  },

  async headers() {
    const client = await plain();
    const subscription = client.subscribe("with.headers");
    const sent = headers();
    sent.append("Kind", "first");
    sent.append("Kind", "second");
    sent.set("Empty", "");
    client.publish("with.headers", "body", { headers: sent });
    const [message] = await take(subscription, 1);
    assert.deepEqual(message.headers.values("Kind"), ["first", "second"]);
    assert.ok(message.headers.has("Empty"));
    assert.equal(message.string(), "body");
    await client.close();
  },

  async "unsubscribe-max"() {
    const client = await plain();
    const subscription = client.subscribe("limited", { max: 3 });
    for (let number = 0; number < 10; number++) client.publish("limited");
    let count = 0;
    for await (const _ of subscription) count++;
    await client.flush();
    assert.equal(count, 3);
    await client.close();
  },

  async drain() {
    const [publisher, listener] = [await plain(), await plain()];
    let count = 0;
    listener.subscribe("drained", { callback: () => count++ });
    await listener.flush();
    for (let number = 0; number < 100; number++) publisher.publish("drained");
    await publisher.flush();
    await listener.drain();
    assert.equal(count, 100);
    assert.ok(listener.isClosed());
    await publisher.close();
  },

  async echo() {
    const client = await plain({ noEcho: true });
    const other = await plain();
    const subscription = client.subscribe("echo");
    await client.flush();
    client.publish("echo", "own");
    await client.flush();
    other.publish("echo", "another's");
    const [message] = await take(subscription, 1);
    assert.equal(message.string(), "another's");
    await Promise.all([client.close(), other.close()]);
  },

  async "large-payload"() {
    const client = await plain();
    const payload = new Uint8Array(client.info.max_payload).fill(120);
    const subscription = client.subscribe("large");
    client.publish("large", payload);
    const [message] = await take(subscription, 1);
    assert.equal(Buffer.compare(message.data, payload), 0);
    await client.close();
  },

  async rtt() {
    const client = await plain();
    const elapsed = await client.rtt();
    assert.ok(elapsed >= 0 && elapsed < 5000, `${elapsed}`);
    await client.close();
  },

  async "permission-violation"() {
    const { NATS_USER: user, NATS_PASSWORD: pass } = process.env;
    const client = await plain({ user, pass });
    const subscription = client.subscribe("forbidden");
    const error = await subscription.closed;
    assert.ok(error instanceof errors.PermissionViolationError, `${error}`);
    assert.equal(error.subject, "forbidden");
    assert.equal(error.operation, "subscription");
    // The connection lives on.
    await client.flush();
    await client.close();
  },

  async "user-password"() {
    const { NATS_USER: user, NATS_PASSWORD: pass } = process.env;
    await admitted({ user, pass });
    await refused({ user, pass: "wrong" });
    await refused({});
  },

  async token() {
    await admitted({ token: process.env.NATS_TOKEN });
    await refused({ token: "wrong" });
  },

  async nkey() {
    const signer = (seed) => nkeyAuthenticator(new TextEncoder().encode(seed));
    await admitted({ authenticator: signer(process.env.NATS_SEED) });
    await refused({ authenticator: signer(process.env.NATS_OTHER_SEED) });
  },

  async tls() {
    await admitted({ tls: { caFile: process.env.NATS_CA } });
    await assert.rejects(plain({ tls: {} }));
  },

  async reconnect() {
    // The server is restarted on its port when this says so on its output.
    const client = await connect({ servers, reconnectTimeWait: 50, maxReconnectAttempts: 200 });
    const subscription = client.subscribe("after");
    await client.flush();
    console.log("RESTART");
    for await (const status of client.status()) {
      if (status.type === "reconnect") break;
    }
    client.publish("after", "back");
    const [message] = await take(subscription, 1);
    assert.equal(message.string(), "back");
    await client.close();
  },
};

const name = process.argv[2];
const check = checks[name];
if (check === undefined) {
  console.error(`no check of that name: ${name}`);
  process.exit(2);
}
const clock = setTimeout(() => {
  console.error(`${name}: not finished within ${CHECK_TIME_MAX_MS} ms`);
  process.exit(1);
}, CHECK_TIME_MAX_MS);
await check();
clearTimeout(clock);
