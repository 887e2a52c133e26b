import { Command, CommanderError } from 'commander'
import { addDbCommands } from './cli/db.ts'
import { addDemoCommand } from './cli/demo.ts'
import { addOpenapiCommand } from './cli/openapi.ts'

const program = new Command('tenon').description('Commands beside the service').showHelpAfterError()
addDbCommands(program)
addDemoCommand(program)
addOpenapiCommand(program)

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) console.error((error as Error).message)
  process.exitCode = 1
}
