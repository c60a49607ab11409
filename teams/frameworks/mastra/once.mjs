// `once` for Node: the gateway keeps what a tool did under the scope of this work, so that the next
// attempt gets the result and the tool does not run again. docs/effects.md has the requests.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';

const { AGENT_GATEWAY_URL, AGENT_API_KEY, AGENT_SCOPE, AGENT_ATTEMPT, AGENT_REPORT } = process.env;
const UNKNOWN = 75; // the exit code that asks for a person's decision
const equalCalls = new Map();

export async function once(tool, args, act) {
  const digest = createHash('sha256').update(JSON.stringify(args)).digest('hex').slice(0, 32);
  const number = (equalCalls.get(digest) ?? 0) + 1;
  equalCalls.set(digest, number);
  const effect = `${tool}.${digest}.${number}`;
  const begun = await post(effect, 'begin', { tool, idempotent: false });
  if (begun.state === 'done') return begun.result;
  if (begun.state === 'failed') throw new Error(begun.error.message);
  if (begun.state === 'skipped') throw new Error('A person decided that this call is not made.');
  let result;
  try {
    result = await act(args);
  } catch (error) {
    await post(effect, 'finish', { state: 'failed', error: { type: error.name, message: error.message } });
    throw error;
  }
  await post(effect, 'finish', { state: 'done', result });
  return result;
}

async function post(effect, step, body) {
  const url = `${AGENT_GATEWAY_URL}/v1/scopes/${AGENT_SCOPE}/effects/${effect}/${step}`;
  const headers = { Authorization: `Bearer ${AGENT_API_KEY}`, 'Content-Type': 'application/json' };
  const sent = JSON.stringify({ attempt: Number(AGENT_ATTEMPT), ...body });
  const response = await fetch(url, { method: 'POST', headers, body: sent });
  const answer = await response.json();
  if (answer.error?.code === 'effect_unknown') {
    const unknown = { effect, tool: body.tool, attempt: answer.error.attempt ?? 0 };
    writeFileSync(AGENT_REPORT, JSON.stringify({ effect_unknown: unknown }));
    process.exit(UNKNOWN);
  }
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}
