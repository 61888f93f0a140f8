// What is generated: types, one function per operation, and a client over fetch, which is all that it needs.
export default {
  input: '../../openapi.json',
  output: { path: '../../../target/sdk/typescript', importFileExtension: '.js' },
  plugins: ['@hey-api/typescript', '@hey-api/sdk', '@hey-api/client-fetch'],
};
