// What holds for every test file, whether it asks for it or not.
import './helpers/hashing.ts'
