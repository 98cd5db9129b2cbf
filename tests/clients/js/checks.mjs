// Checks of the official JavaScript client against a running server.
//
// `node checks.mjs NAME` runs one check against the server at NATS_URL and exits 0 when it held.
// NATS_MODULES is the folder that npm installed into: nothing is installed beside this file.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.NATS_MODULES}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const nats = await load("@nats-io/transport-node");
const { jetstream, jetstreamManager } = await load("@nats-io/jetstream");
const { Kvm } = await load("@nats-io/kv");
const { Objm } = await load("@nats-io/obj");
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

  async streams() {
    const client = await plain();
    const manager = await jetstreamManager(client);
    const config = { name: "S", subjects: ["s.>"], allow_direct: true };
    await manager.streams.add(config);
    await assert.rejects(manager.streams.add({ ...config, subjects: ["t"] }));
    const js = jetstream(client);
    for (let number = 1; number <= 20; number++) {
      const ack = await js.publish("s.a", `${number}`, { msgID: `${number}` });
      assert.deepEqual([ack.stream, ack.seq, ack.duplicate], ["S", number, false]);
    }
    assert.equal((await js.publish("s.a", "again", { msgID: "7" })).duplicate, true);
    const expected = { expect: { lastSequence: 3 } };
    await assert.rejects(js.publish("s.a", "x", expected), /wrong last sequence/);
    const stored = await manager.streams.getMessage("S", { seq: 7 });
    assert.equal(stored.string(), "7");
    const direct = await manager.direct.getMessage("S", { last_by_subj: "s.a" });
    assert.equal(direct.seq, 20);
    const batch = await manager.direct.getBatch("S", { seq: 1, batch: 5 });
    const read = [];
    for await (const message of batch) read.push(message.seq);
    assert.deepEqual(read, [1, 2, 3, 4, 5]);
    assert.equal(await manager.streams.deleteMessage("S", 7), true);
    assert.equal((await manager.streams.purge("S", { keep: 5 })).purged, 14);
    await manager.streams.update("S", { ...config, max_msgs: 2 });
    const info = await manager.streams.info("S", { subjects_filter: ">" });
    assert.deepEqual([info.state.messages, info.state.subjects], [2, { "s.a": 2 }]);
    assert.equal(await manager.streams.find("s.x"), "S");
    assert.equal((await manager.getAccountInfo()).streams, 1);
    assert.equal(await manager.streams.delete("S"), true);
    await client.close();
  },

  async "key-value"() {
    const client = await plain();
    const bucket = await new Kvm(client).create("CONFIG", { history: 3 });
    assert.equal(await bucket.put("a", "1"), 1);
    assert.equal((await bucket.get("a")).string(), "1");
    assert.equal(await bucket.update("a", "2", 1), 2);
    await assert.rejects(bucket.update("a", "3", 1), /wrong last sequence/);
    await assert.rejects(bucket.create("a", "3"));
    await bucket.delete("a");
    assert.equal((await bucket.get("a")).operation, "DEL");
    assert.equal(await bucket.create("a", "again"), 4);
    await bucket.purge("a");
    assert.equal((await bucket.get("a")).operation, "PURGE");
    assert.equal(await bucket.get("none"), null);
    assert.equal((await bucket.status()).values, 1);
    assert.equal(await bucket.destroy(), true);
    await client.close();
  },

  async "object-put"() {
    const client = await plain();
    const store = await new Objm(client).create("FILES");
    const made = await store.putBlob({ name: "large" }, new Uint8Array(300_000));
    const found = await store.info("large");
    assert.deepEqual([found.size, found.digest], [300_000, made.digest]);
    assert.equal((await store.delete("large")).success, true);
    assert.equal((await store.info("large")).deleted, true);
    await client.close();
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
