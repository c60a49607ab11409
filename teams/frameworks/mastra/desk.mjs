// An agent of Mastra. The task comes on standard input as JSON; what is printed is the answer.
import { appendFileSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { Agent } from '@mastra/core/agent';
import { createTool } from '@mastra/core/tools';
import { z } from 'zod';
import { once } from './once.mjs';

const { AGENT_BASE_URL, AGENT_API_KEY, AGENT_MODEL, TICKETS } = process.env;
const task = JSON.parse(await text(process.stdin));

function openTicket({ title }) {
  appendFileSync(TICKETS, `${title}\n`);
  return `ticket ${readFileSync(TICKETS, 'utf8').trimEnd().split('\n').length}`;
}

const gateway = createOpenAICompatible({
  name: 'gateway',
  baseURL: AGENT_BASE_URL,
  apiKey: AGENT_API_KEY,
});
const open_ticket = createTool({
  id: 'open_ticket',
  description: 'Open a ticket for the workshop, and return its number.',
  inputSchema: z.object({ title: z.string().describe('What is broken, in a few words.') }),
  execute: (args) => once('open_ticket', args, openTicket),
});
const agent = new Agent({
  id: task.agent,
  name: task.role,
  instructions: task.instructions,
  model: gateway.chatModel(AGENT_MODEL),
  tools: { open_ticket },
});
const documents = task.inputs.map(({ name, text }) => `${name}:\n${text}`);
const result = await agent.generate([...documents, task.ask].join('\n\n'));
process.stdout.write(result.text);
