import mysql from 'mysql2/promise'; // Images like a stored one: node search.mjs cat.jpg [products]

const db = await mysql.createConnection(process.env.MYSQL_URL);
const [name, index = 'image_embeddings'] = process.argv.slice(2);
// A vector is read as bytes, which a procedure takes as they are.
const [[image]] = await db.execute(
  'SELECT id, CAST(embedding AS BINARY) AS vector FROM image_embeddings WHERE image_name = ?',
  [name]);
if (!image) throw new Error(`There is no image ${name}`);

const [[similar]] = await db.execute( // by its id
  'CALL lookalike_similar(?, ?, ?)', ['image_embeddings', image.id, 5]);
const [[found]] = await db.execute( // by any vector: bytes, or '[0.1, ...]'
  'CALL lookalike_search(?, ?, ?)', [index, image.vector, 5]);
for (const row of [...similar, ...found]) {
  console.log(`${row.id}\t${row.name}\t${row.similarity.toFixed(6)}`);
}
await db.end();
