// Sends orders above a limit to destinations of their own.
import type { Failure, Handler } from 'hookwright:plugin/handler@0.1.0';
import type { Lifecycle } from 'hookwright:plugin/lifecycle@0.1.0';
import type { Delivery } from 'hookwright:plugin/types@0.1.0';

// What `config` may hold: the host checks it against this before `init` sees it.
const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    limit: { description: 'The least amount of a large order.', type: 'number' },
    to: {
      description: 'Who gets large orders, by the names of the host\'s settings.',
      type: 'array',
      items: { type: 'string' },
      minItems: 1,
    },
  },
  required: ['limit', 'to'],
  additionalProperties: false,
};

interface Settings {
  limit: number;
  to: string[];
}

let settings: Settings = { limit: 0, to: [] };

export const lifecycle: Lifecycle = {
  describe() {
    return {
      name: 'large-orders',
      version: '0.1.0',
      summary: 'Sends orders above a limit to destinations of their own.',
      configSchema: JSON.stringify(schema),
    };
  },

  init(configJson) {
    settings = JSON.parse(configJson);
  },
};

export const handler: Handler = {
  handle(event, body) {
    // The host looks the value up; the body itself never comes here.
    const [amount] = body.select(['/amount']);
    const number = Number(amount ?? NaN);
    if (Number.isNaN(number)) {
      throw { tag: 'reject', val: 'no number at /amount' } satisfies Failure;
    }
    if (number < settings.limit) {
      return { tag: 'pass' };
    }
    const deliver = (destination: string): Delivery => ({ destination, headers: [], delayMs: 0n });
    return { tag: 'deliver', val: settings.to.map(deliver) };
  },
};
