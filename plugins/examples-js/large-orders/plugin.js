// Sends orders above a limit to destinations of their own.

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

let settings = { limit: 0, to: [] };

export const lifecycle = {
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

export const handler = {
  handle(event, body) {
    // The host looks the value up; the body itself never comes here.
    const [amount] = body.select(['/amount']);
    const number = Number(amount ?? NaN);
    if (Number.isNaN(number)) {
      throw { tag: 'reject', val: 'no number at /amount' };
    }
    if (number < settings.limit) {
      return { tag: 'pass' };
    }
    const deliver = (destination) => ({ destination, headers: [], delayMs: 0n });
    return { tag: 'deliver', val: settings.to.map(deliver) };
  },
};
