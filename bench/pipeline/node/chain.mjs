// The peer: the same chain of four stages in pg-boss. A handler writes its events and hands the jobs on, a batch at a time.
// Orders come as lines of JSON on stdin, each is answered by one on stdout; DATABASE_URL names the database. Times are seconds.

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { createInterface } from "node:readline";
import pg from "pg";
import { PgBoss } from "pg-boss";

const STAGES = ["resolver", "clipper", "asr", "burner"];
const TABLE = "CREATE TABLE IF NOT EXISTS peer_events (job_id uuid NOT NULL, type text NOT NULL, at timestamptz NOT NULL DEFAULT now(), event jsonb NOT NULL)";
const INDEX = "CREATE INDEX IF NOT EXISTS peer_events_job ON peer_events (job_id)";
const EVENTS = "INSERT INTO peer_events (job_id, type, event) SELECT job_id, $2, $3::jsonb FROM unnest($1::uuid[]) AS given (job_id)";

const database = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
const boss = new PgBoss({ connectionString: process.env.DATABASE_URL, useListenNotify: true, schedule: false });
const began = new Map();
const ended = new Map();

const now = () => (performance.timeOrigin + performance.now()) / 1000;

const queue = (stage, notify) => (notify ? `${stage}-notified` : stage);

function handler(stage, notify, event) {
  const next = STAGES[STAGES.indexOf(stage) + 1];
  return async (jobs) => {
    const ids = jobs.map((job) => job.data.id);
    if (stage === STAGES[0]) for (const id of ids) began.set(id, now());
    await database.query(EVENTS, [ids, stage, event]);
    if (next) await boss.insert(queue(next, notify), jobs.map((job) => ({ data: job.data })));
    else for (const id of ids) ended.get(id).resolve(now());
  };
}

function request() {
  const id = randomUUID();
  ended.set(id, Promise.withResolvers());
  return id;
}

const end = (id) => ended.get(id).promise;

// All at once, by as few statements as pg-boss takes them in.
async function many({ first, jobs }) {
  const ids = Array.from({ length: jobs }, request);
  const start = now();
  for (let done = 0; done < jobs; done += 1000) await boss.insert(first, ids.slice(done, done + 1000).map((id) => ({ data: { id } })));
  const last = Math.max(...(await Promise.all(ids.map(end))));
  return { jobs: ids, seconds: last - start };
}

// One after the other; up to `gap` between, so that they do not keep time with the polls.
async function alone({ first, jobs, gap }) {
  const found = { jobs: [], hops: [], wholes: [] };
  for (let count = 0; count < jobs; count++) {
    await pause(1000 * gap * Math.random());
    const id = request();
    const start = now();
    await boss.send(first, { id });
    found.wholes.push((await end(id)) - start);
    found.hops.push(began.get(id) - start);
    found.jobs.push(id);
  }
  return found;
}

const LOADS = { many, alone };

async function answer({ load, notify, how, event, ...order }) {
  for (const stage of STAGES) {
    await pause(500 * Math.random()); // or all would poll at the same moment, and each find its job a whole interval later
    await boss.work(queue(stage, notify), how, handler(stage, notify, event));
  }
  const found = await LOADS[load]({ ...order, first: queue(STAGES[0], notify) });
  for (const stage of STAGES) await boss.offWork(queue(stage, notify)); // waits until what is in hand is marked as done
  return found;
}

boss.on("error", (error) => console.error(error));
await database.query(TABLE);
await database.query(INDEX);
await boss.start();
for (const notify of [false, true]) for (const stage of STAGES) await boss.createQueue(queue(stage, notify), { notify });
console.log("{}"); // ready
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await answer(JSON.parse(line))));
await boss.stop();
await database.end();
