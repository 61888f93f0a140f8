// Generates types, one function per operation, and a client that needs only fetch.
export default {
  input: '../../openapi.json',
  output: { path: '../../../target/sdk/typescript', importFileExtension: '.js' },
  plugins: ['@hey-api/typescript', '@hey-api/sdk', '@hey-api/client-fetch'],
};
