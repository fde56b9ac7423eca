/** The page that documents `POST /v2/token`: its request and answer formats, to the letter. */

const requestJson = `{
"grant_type": "sample string 1",
"userName": "sample string 2",
"password": "sample string 3",
"clientKey": "sample string 4"
}`

const requestScript =
  '{"grant_type":"sample string 1","userName":"sample string 2","password":"sample string 3",' +
  '"clientKey":"sample string 4"}'

const requestXml =
  '<OAuthRequest xmlns:i="http://www.w3.org/2001/XMLSchema-instance" ' +
  'xmlns="http://schemas.datacontract.org/2004/07/Yindo.DAL.Types"> ' +
  '<clientKey>sample string 4</clientKey> <grant_type>sample string 1</grant_type> ' +
  '<password>sample string 3</password> <userName>sample string 2</userName> </OAuthRequest>'

/** What the samples hold; the form has other words. */
const samples = {
  grant_type: 'sample string 1',
  username: 'sample string 2',
  password: 'sample string 3',
  clientkey: 'sample string 4',
}

/** Content type, body, and its fields by their names in lower case. */
export const publishedRequests: readonly [type: string, body: string, fields: Readonly<Record<string, string>>][] = [
  ['application/json', requestJson, samples],
  ['text/json', requestJson, samples],
  ['text/javascript', requestScript, samples],
  ['application/xml', requestXml, samples],
  ['text/xml', requestXml, samples],
  [
    'application/x-www-form-urlencoded',
    'grant_type=value&userName=value&password=value&clientKey=value',
    { grant_type: 'value', username: 'value', password: 'value', clientkey: 'value' },
  ],
  [
    'application/x-www-form-urlencoded',
    'grant_type=password&username=theuser&password=thepass',
    { grant_type: 'password', username: 'theuser', password: 'thepass' },
  ],
]

const answerJson = `{
"access_token": "sample string 1",
"token_type": "sample string 2",
"expires_in": 3,
"userName": "sample string 4",
"userID": "sample string 5",
"sessionKey": "sample string 6",
"clientKey": "sample string 7"
}`

const answerScript =
  '{"access_token":"sample string 1","token_type":"sample string 2","expires_in":3,"userName":"sample string 4",' +
  '"userID":"sample string 5","sessionKey":"sample string 6","clientKey":"sample string 7"}'

const answerXml =
  '<OAuthToken xmlns:i="http://www.w3.org/2001/XMLSchema-instance" ' +
  'xmlns="http://schemas.datacontract.org/2004/07/Yindo.DAL.Types"> ' +
  '<access_token>sample string 1</access_token> <clientKey>sample string 7</clientKey> ' +
  '<expires_in>3</expires_in> <sessionKey>sample string 6</sessionKey> <token_type>sample string 2</token_type> ' +
  '<userID>sample string 5</userID> <userName>sample string 4</userName> </OAuthToken>'

/** Content type and body, laid out for reading as the page does it. */
export const publishedAnswers: readonly [type: string, body: string][] = [
  ['application/json', answerJson],
  ['text/json', answerJson],
  ['text/javascript', answerScript],
  ['application/xml', answerXml],
  ['text/xml', answerXml],
]

/** The samples' order is that of their numbers. */
export const publishedMembers = [
  'access_token',
  'token_type',
  'expires_in',
  'userName',
  'userID',
  'sessionKey',
  'clientKey',
]

/** On the wire nothing is laid out for reading: the same document without the blanks between its parts. */
export function withoutLayout(published: string): string {
  return published
    .replaceAll('> <', '><')
    .replace(/^\{\n|\n\}$/g, (brace) => brace.trim())
    .replace(/(,)\n|(": )/g, joint)
}

function joint(written: string): string {
  return written.trim()
}

/** The namespace of the published XML. */
export const publishedNamespace = 'http://schemas.datacontract.org/2004/07/Yindo.DAL.Types'

/** A request in XML: what stands between the root's tags. */
export function xmlRequest(content: string): string {
  return `<OAuthRequest xmlns="${publishedNamespace}">${content}</OAuthRequest>`
}
