// Makes sdk.json: requests that the providers' own packages signed, or took as genuine.
//   npm install --ignore-scripts && npm run make
// A package that only verifies gets a signature made by its documented formula, and must accept it
// and refuse another body; the vector then says `accepted by`. Where a provider has no package, one
// of a third party takes its place, and the vector says whose. `kind` and `id` are what the package
// itself reads.
import { createHmac, createHash, generateKeyPairSync, sign as signRaw } from 'node:crypto';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const require = createRequire(import.meta.url);
const AT = 1764000000;
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...args) { args.length ? super(...args) : super(AT * 1000); }
  static now() { return AT * 1000; }
};

const versions = JSON.parse(readFileSync(new URL('package.json', import.meta.url))).dependencies;
versions['n8n-nodes-base'] = require('n8n-nodes-base/package.json').version;
const npm = (name) => `npm ${name} ${versions[name]}`;
const hmac = (secret, text, encoding, hash = 'sha256') => createHmac(hash, secret).update(text).digest(encoding);
const vectors = [];
const add = (scheme, origin, secret, headers, body, more = {}) =>
  vectors.push({ scheme, origin, secret, at: AT, headers, body, ...more });
// `accepts(body)` must hold for the body and for no other.
async function taken(name, body, accepts) {
  const ask = async (text) => { try { return Boolean(await accepts(text)); } catch { return false; } };
  if (!(await ask(body)) || (await ask(body.replace('1', '2')))) throw new Error(`${name} does not verify`);
  return `accepted by ${npm(name)}`;
}

const json = '{"type":"user.created","id":"evt_1","text":"é, \\u00e9 and 1.50"}';
const whsec = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

const { Webhook } = require('standardwebhooks');
add('standard', npm('standardwebhooks'), whsec, {
  'webhook-id': 'msg_1', 'webhook-timestamp': `${AT}`,
  'webhook-signature': new Webhook(whsec).sign('msg_1', new Date(AT * 1000), json),
}, json);

// Secrets in forms that the package takes: unpadded, shorter and longer than the specification has it.
for (const [name, bytes, written] of [
  ['20 bytes', 20, (text) => `whsec_${text}`], ['72 bytes', 72, (text) => text],
  ['no padding', 32, (text) => `whsec_${text.replace(/=+$/, '')}`],
  ['v1,whsec_', 32, (text) => `v1,whsec_${text}`],
]) {
  const key = Buffer.alloc(bytes, 7).toString('base64');
  add('standard', `${npm('standardwebhooks')}, ${name}`, written(key), {
    'webhook-id': 'msg_1', 'webhook-timestamp': `${AT}`,
    'webhook-signature': new Webhook(key).sign('msg_1', new Date(AT * 1000), json),
  }, json);
}

{
  // Polar's package takes a secret as it stands, and as base64.
  const { webhooks: { validateEvent } } = await import('@polar-sh/sdk/2026-10');
  const body = '{"type":"order.paid","timestamp":"2025-11-24T16:00:00Z","data":{"id":"1"}}';
  for (const [secret, raw] of [
    ['polar_whs_a secret that is text', (text) => Buffer.from(text)],
    ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', (text) => Buffer.from(text.slice(6), 'base64')],
  ]) {
    const signature = `v1,${createHmac('sha256', raw(secret)).update(`msg_1.${AT}.${body}`).digest('base64')}`;
    const headers = { 'webhook-id': 'msg_1', 'webhook-timestamp': `${AT}`, 'webhook-signature': signature };
    const origin = await taken('@polar-sh/sdk', body, (text) => validateEvent(text, headers, secret));
    add('polar', `${origin}${secret.startsWith('whsec_') ? ', base64' : ''}`, secret, headers, body);
    if (!secret.startsWith('whsec_')) add('standard', `${origin}, Polar's secret`, secret, headers, body);
  }
}

const svix = require('svix');
for (const scheme of ['svix', 'clerk']) {
  add(scheme, npm('svix'), whsec, {
    'svix-id': 'msg_1', 'svix-timestamp': `${AT}`,
    'svix-signature': new svix.Webhook(whsec).sign('msg_1', new Date(AT * 1000), json),
  }, json);
}
{
  // Its public-key signatures are made by the documented formula: no package makes them.
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const key = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64');
  const signature = signRaw(null, Buffer.from(`msg_1.${AT}.${json}`), privateKey).toString('base64');
  add('standard', 'the specification of v1a, through Node\'s crypto', `whpk_${key}`, {
    'webhook-id': 'msg_1', 'webhook-timestamp': `${AT}`, 'webhook-signature': `v1a,${signature}`,
  }, json);
}
{
  const { OpenAI } = require('openai');
  const client = new OpenAI({ apiKey: 'none', webhookSecret: whsec });
  const headers = {
    'webhook-id': 'msg_1', 'webhook-timestamp': `${AT}`,
    'webhook-signature': new Webhook(whsec).sign('msg_1', new Date(AT * 1000), json),
  };
  const origin = await taken('openai', json, async (body) => {
    await client.webhooks.verifySignature(body, headers); return true;
  });
  add('openai', origin, whsec, headers, json);
}
{
  const { Resend } = require('resend');
  const resend = new Resend('re_none');
  const signature = new svix.Webhook(whsec).sign('msg_1', new Date(AT * 1000), json);
  const headers = { id: 'msg_1', timestamp: `${AT}`, signature };
  const origin = await taken('resend', json, (payload) =>
    resend.webhooks.verify({ payload, headers, webhookSecret: whsec }));
  add('resend', origin, whsec,
    { 'svix-id': 'msg_1', 'svix-timestamp': `${AT}`, 'svix-signature': signature }, json);
}

const { sign } = await import('@octokit/webhooks-methods');
add('github', npm('@octokit/webhooks-methods'), 'mysecret',
  { 'x-hub-signature-256': await sign('mysecret', json) }, json);
add('meta', `${npm('@octokit/webhooks-methods')}, the same scheme`, 'app secret',
  { 'x-hub-signature-256': await sign('app secret', json) }, json);

const Stripe = require('stripe');
const stripe = new (Stripe.default ?? Stripe)('sk_none');
{
  const secret = 'whsec_test_secret';
  const header = stripe.webhooks.generateTestHeaderString({ payload: json, secret, timestamp: AT });
  add('stripe', npm('stripe'), secret, { 'stripe-signature': header }, json);
}

const twilio = require('twilio');
{
  const url = 'https://hooks.example.com/in/twilio';
  const params = { To: '+15550100001', From: '+15550100002', Digits: '1234', Body: 'a b&c=é' };
  add('twilio', npm('twilio'), 'twilio auth token',
    { 'x-twilio-signature': twilio.getExpectedTwilioSignature('twilio auth token', url, params) },
    new URLSearchParams(params).toString(), { url });
  const hash = createHash('sha256').update(json).digest('hex');
  add('twilio', `${npm('twilio')}, JSON`, 'twilio auth token',
    { 'x-twilio-signature': twilio.getExpectedTwilioSignature('twilio auth token', `${url}?bodySHA256=${hash}`, {}) },
    json, { url, query: `bodySHA256=${hash}` });
  // A shared key names its algorithm; Twilio signs the URL with its port or without, and the first of
  // two hashes counts.
  const form = new URLSearchParams(params).toString();
  const verified = (secret, signature, at, sent, algorithm) => {
    const good = at.includes('bodySHA256')
      ? twilio.validateRequestWithBody(secret, signature, at, sent, algorithm)
      : twilio.validateRequest(secret, signature, at, params, algorithm);
    if (!good) throw new Error(`twilio does not verify ${at}`);
    return signature;
  };
  const shared = { 'x-twilio-webhooks-signature-settings': 'key=webhooks_sharedkey_1,algorithm=HMAC_SHA256' };
  const signed = (secret, at, sent, algorithm) =>
    twilio.getExpectedTwilioSignature(secret, at, sent, algorithm);
  add('twilio', `${npm('twilio')}, shared key`, 'shared key', { ...shared,
    'x-twilio-signature': verified('shared key', signed('shared key', url, params, 'HMAC_SHA256'), url, form, 'HMAC_SHA256') },
    form, { url });
  const port = 'https://hooks.example.com:443/in/twilio';
  add('twilio', `${npm('twilio')}, URL with its port`, 'twilio auth token',
    { 'x-twilio-signature': verified('twilio auth token', signed('twilio auth token', port, params), url, form) }, form, { url });
  const other = 'https://hooks.example.com:8443/in/twilio';
  add('twilio', `${npm('twilio')}, URL without its port`, 'twilio auth token',
    { 'x-twilio-signature': verified('twilio auth token', signed('twilio auth token', 'https://hooks.example.com/in/twilio', params), other, form) },
    form, { url: other });
  const twice = `bodySHA256=${hash}&bodySHA256=${'0'.repeat(64)}`;
  add('twilio', `${npm('twilio')}, two hashes`, 'twilio auth token',
    { 'x-twilio-signature': verified('twilio auth token', signed('twilio auth token', `${url}?${twice}`, {}), `${url}?${twice}`, json) },
    json, { url, query: twice });
  const quoted = "name='x y'&b=%28";
  add('twilio', `${npm('twilio')}, escaped query`, 'twilio auth token',
    { 'x-twilio-signature': verified('twilio auth token', signed('twilio auth token', `${url}?name=%27x%20y%27&b=%28`, params), `${url}?${quoted.replace(' ', '%20')}`, form) },
    form, { url, query: quoted.replace(' ', '%20') });
}

const { Signature } = require('@hubspot/api-client/lib/src/utils/signature.js');
{
  const url = 'https://hooks.example.com/in/hubspot';
  const signature = Signature.getSignature('POST', 'v3',
    { clientSecret: 'client', url, requestBody: json, timestamp: AT * 1000 });
  add('hubspot', npm('@hubspot/api-client'), 'client',
    { 'x-hubspot-signature-v3': signature, 'x-hubspot-request-timestamp': `${AT * 1000}` }, json, { url });
  // The package signs the URL that it is given; the documentation has some characters decoded first.
  const query = 'back=https%3A%2F%2Fa.example%2F%3Fb%3D1%26c';
  for (const [name, at] of [
    ['URL as it came', `${url}?${query}`],
    ['URL decoded as documented', `${url}?back=https://a.example/?b%3D1%26c`],
  ]) {
    const signature = Signature.getSignature('POST', 'v3',
      { clientSecret: 'client', url: at, requestBody: json, timestamp: AT * 1000 });
    add('hubspot', `${npm('@hubspot/api-client')}, ${name}`, 'client',
      { 'x-hubspot-signature-v3': signature, 'x-hubspot-request-timestamp': `${AT * 1000}` }, json, { url, query });
  }
}

const { WebhooksHelper } = require('square');
{
  const url = 'https://hooks.example.com/in/square';
  const signatureHeader = hmac('square key', url + json, 'base64');
  const origin = await taken('square', json, (requestBody) => WebhooksHelper.verifySignature(
    { requestBody, signatureHeader, signatureKey: 'square key', notificationUrl: url }));
  add('square', origin, 'square key', { 'x-square-hmacsha256-signature': signatureHeader }, json, { url });
}

const { isValidSlackRequest } = require('@slack/bolt/dist/receivers/verify-request.js');
{
  const signature = `v0=${hmac('signing', `v0:${AT}:${json}`, 'hex')}`;
  const origin = await taken('@slack/bolt', json, (body) => isValidSlackRequest({
    signingSecret: 'signing', body,
    headers: { 'x-slack-signature': signature, 'x-slack-request-timestamp': AT },
  }));
  add('slack', origin, 'signing',
    { 'x-slack-signature': signature, 'x-slack-request-timestamp': `${AT}` }, json);
}

const { Paddle, Environment } = require('@paddle/paddle-node-sdk');
{
  const header = `ts=${AT};h1=${hmac('pdl_ntfset_x', `${AT}:${json}`, 'hex')}`;
  const paddle = new Paddle('none', { environment: Environment.sandbox });
  const origin = await taken('@paddle/paddle-node-sdk', json, (body) =>
    paddle.webhooks.isSignatureValid(body, 'pdl_ntfset_x', header));
  add('paddle', origin, 'pdl_ntfset_x', { 'paddle-signature': header }, json);
}

const Razorpay = require('razorpay');
{
  const signature = hmac('rzp', json, 'hex');
  const origin = await taken('razorpay', json, (body) =>
    Razorpay.validateWebhookSignature(body, signature, 'rzp'));
  add('razorpay', origin, 'rzp', { 'x-razorpay-signature': signature }, json);
}

const { LinearWebhookClient } = await import('@linear/sdk/webhooks');
{
  const body = `{"type":"Issue","action":"update","webhookTimestamp":${AT * 1000}}`;
  const signature = hmac('lin_wh', body, 'hex');
  const client = new LinearWebhookClient('lin_wh');
  const origin = await taken('@linear/sdk', body, (text) => client.verify(Buffer.from(text), signature));
  add('linear', origin, 'lin_wh', { 'linear-signature': signature }, body);
}

const { verifyKey } = require('discord-interactions');
{
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const key = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
  const body = '{"version":1,"type":1,"event":{"type":"APPLICATION_AUTHORIZED"}}';
  const signature = signRaw(null, Buffer.from(AT + body), privateKey).toString('hex');
  const origin = await taken('discord-interactions', body, (text) => verifyKey(text, signature, `${AT}`, key));
  add('discord', origin, key, { 'x-signature-ed25519': signature, 'x-signature-timestamp': `${AT}` }, body);
}

const { EventWebhook } = require('@sendgrid/eventwebhook');
{
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const pem = publicKey.export({ format: 'pem', type: 'spki' });
  const key = publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
  const signature = signRaw('sha256', Buffer.from(AT + json), privateKey).toString('base64');
  const hook = new EventWebhook();
  const ecdsa = hook.convertPublicKeyToECDSA(pem);
  const origin = await taken('@sendgrid/eventwebhook', json, (body) =>
    hook.verifySignature(ecdsa, body, signature, `${AT}`));
  add('sendgrid', origin, key, {
    'x-twilio-email-event-webhook-signature': signature, 'x-twilio-email-event-webhook-timestamp': `${AT}`,
  }, json);
}

const { hmacValidator } = require('@adyen/api-library');
{
  const key = '4B1F8C02D95E6A3370C4E21B9D5F8A6603B7E94CD1285F7A96E0C3184DB2F75A';
  const validator = new hmacValidator();
  const item = {
    pspReference: 'HWPSP00000000017', originalReference: '', merchantAccountCode: 'HarbourBooks',
    merchantReference: 'Order:2026-00017', amount: { value: 1130, currency: 'EUR' },
    eventCode: 'AUTHORISATION', success: 'true', eventDate: '2025-11-24T17:00:00.000+01:00',
  };
  item.additionalData = { hmacSignature: validator.calculateHmac(item, key) };
  const body = JSON.stringify({ live: 'false', notificationItems: [{ NotificationRequestItem: item }] });
  add('adyen', npm('@adyen/api-library'), key, {}, body);
  add('adyen-platform', npm('@adyen/api-library'), key, { hmacsignature: validator.calculateHmac(json, key) }, json);
}

const { shopifyApi, ApiVersion } = require('@shopify/shopify-api');
{
  require('@shopify/shopify-api/adapters/node');
  const shopify = shopifyApi({
    apiKey: 'none', apiSecretKey: 'shpss_secret', hostName: 'hooks.example.com', scopes: [],
    apiVersion: Object.values(ApiVersion)[0], isEmbeddedApp: false, logger: { log: () => {} },
  });
  const headers = {
    'x-shopify-hmac-sha256': hmac('shpss_secret', json, 'base64'), 'x-shopify-topic': 'orders/create',
    'x-shopify-webhook-id': '5d2e8f10-3c47-4a9b-8e61-0b7f4c9d2a13', 'x-shopify-event-id': 'a17c40be-92d3-4f58-b6e0-3d8c15f7e204',
    'x-shopify-shop-domain': 'shop.myshopify.com', 'x-shopify-api-version': '2026-10',
  };
  let read;
  const origin = await taken('@shopify/shopify-api', json, async (rawBody) => {
    const told = await shopify.webhooks.validate({ rawBody, rawRequest: { method: 'POST', url: '/', headers }, rawResponse: {} });
    if (told.valid) read = told;
    return told.valid;
  });
  // Its topics are written in capitals.
  const kind = read.topic.toLowerCase().replace('_', '/');
  add('shopify', origin, 'shpss_secret', headers, json, { kind, id: read.webhookId });

  // What Shopify calls events has a family of headers of its own.
  const events = {
    'shopify-hmac-sha256': hmac('shpss_secret', json, 'base64'), 'shopify-topic': 'products/update',
    'shopify-webhook-id': '0f1b2c3d-4e5f-4061-8273-8495a6b7c8d9', 'shopify-shop-domain': 'shop.myshopify.com',
    'shopify-api-version': '2026-10', 'shopify-handle': 'h', 'shopify-action': 'update',
  };
  let event;
  const second = await taken('@shopify/shopify-api', json, async (rawBody) => {
    const told = await shopify.webhooks.validate({ rawBody, rawRequest: { method: 'POST', url: '/', headers: events }, rawResponse: {} });
    if (told.valid) event = told;
    return told.valid;
  });
  add('shopify', `${second}, events`, 'shpss_secret', events, json,
    { kind: event.topic.toLowerCase().replace('_', '/'), id: event.webhookId });
}

const { validateSignature } = require('twitter-autohook');
{
  const headers = { 'x-twitter-webhooks-signature': `sha256=${hmac('consumer', json, 'base64')}` };
  const origin = await taken('twitter-autohook', json, (body) =>
    validateSignature(headers, { consumer_secret: 'consumer' }, body));
  add('x', `${origin}, by X's developer relations`, 'consumer', headers, json);
}

const { AwsLambdaReceiver } = require('@zoom/rivet/meetings');
{
  // It signs what it has read and written again.
  const body = '{"event":"meeting.started","payload":{"account_id":"1","object":{"topic":"é"}},"event_ts":1764000000123}';
  const headers = {
    'x-zm-signature': `v0=${hmac('zoom token', `v0:${AT}:${body}`, 'hex')}`, 'x-zm-request-timestamp': `${AT}`,
  };
  let kind;
  const receiver = new AwsLambdaReceiver({ webhooksSecretToken: 'zoom token' });
  receiver.init({ eventEmitter: { emit: async (event) => { kind = event; } } });
  console.debug = () => {};
  const handle = receiver.start();
  const origin = await taken('@zoom/rivet', body, async (text) =>
    (await handle({ body: text, headers, isBase64Encoded: false })).statusCode === 200);
  add('zoom', origin, 'zoom token', headers, body, { kind });
}

const { EventSubMiddleware } = await import('@twurple/eventsub-http');
{
  const id = 'e76c6bd4-55c9-4987-8304-da1588d8988b';
  const time = '2025-11-24T16:00:00Z';
  const signature = `sha256=${hmac('s3cRe7 of Twitch', id + time + json, 'hex')}`;
  const verify = EventSubMiddleware.prototype._verifyData;
  const origin = await taken('@twurple/eventsub-http', json, (body) =>
    verify.call({ _secret: 's3cRe7 of Twitch' }, id, time, body, signature));
  add('twitch', `${origin}, a third party's`, 's3cRe7 of Twitch', {
    'twitch-eventsub-message-id': id, 'twitch-eventsub-message-timestamp': time,
    'twitch-eventsub-message-signature': signature,
  }, json);
}

const sha1 = require('octokit-webhooks-sha1');
add('intercom', `npm @octokit/webhooks-methods ${versions['octokit-webhooks-sha1'].split('@').pop()}, the same scheme`, 'client secret',
  { 'x-hub-signature': await sha1.sign({ secret: 'client secret', algorithm: 'sha1' }, json) }, json);

const { WebhookVerificationService } = require('@hookflo/tern');
for (const [platform, header, encoding] of [
  ['woocommerce', 'x-wc-webhook-signature', 'base64'], ['sentry', 'sentry-hook-signature', 'hex'],
]) {
  // It signs what it has read and written again.
  const body = '{"action":"created","data":{"issue":{"id":"1"}}}';
  const headers = { [header]: hmac('tern', body, encoding), 'request-id': 'c7e2b8c0a1d24c6f' };
  const origin = await taken('@hookflo/tern', body, async (text) => {
    const request = new Request('https://hooks.example.com/', { method: 'POST', headers, body: text });
    return (await WebhookVerificationService.verify(request, { platform, secret: 'tern' })).isValid;
  });
  add(platform, `${origin}, a third party's`, 'tern', headers, body);
}

for (const [scheme, name, field, headers] of [
  ['zendesk', 'Zendesk', 'webhookSecret', {
    'x-zendesk-webhook-signature': hmac('n8n', `2025-11-24T16:00:00Z${json}`, 'base64'),
    'x-zendesk-webhook-signature-timestamp': '2025-11-24T16:00:00Z',
  }],
  ['typeform', 'Typeform', 'webhookSecret', { 'typeform-signature': `sha256=${hmac('n8n', json, 'base64')}` }],
  ['asana', 'Asana', 'hookSecret', { 'x-hook-signature': hmac('n8n', json, 'hex') }],
  ['calendly', 'Calendly', 'webhookSecret',
    { 'calendly-webhook-signature': `t=${AT},v1=${hmac('n8n', `${AT}.${json}`, 'hex')}` }],
]) {
  const { verifySignature } = require(`n8n-nodes-base/dist/nodes/${name}/${name}TriggerHelpers.js`);
  const origin = await taken('n8n-nodes-base', json, (body) => verifySignature.call({
    getRequestObject: () => ({ rawBody: Buffer.from(body), header: (header) => headers[header] }),
    getHeaderData: () => headers,
    getWorkflowStaticData: () => ({ [field]: 'n8n' }),
  }));
  add(scheme, `${origin}, a third party's`, 'n8n', headers, json);
}

process.stdout.write(`${JSON.stringify(vectors, null, 2)}\n`);
