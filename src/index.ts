/**
 * eFedLLM as a library: open a model, host a range of its units, or run
 * sessions along the peers that host it. `scripts/prompt.ts` is an example;
 * docs/numerics.md, docs/protocol.md and docs/sampling.md say what is exact.
 */

// models
export {
  cacheDirectory, catalogue, dataDirectory, describeFile, findInCatalogue, listModels, openModel, pullModel, resolveModel
} from './model/index.ts'
export {
  createBlockStore, createPackageWriter, deriveManifest, packModel, readPackage, verifyPackage, writeDerived
} from './model/index.ts'
export type {
  About, BlockStore, ChooseRank, Compression, CompressionMode, LowRankSource, MatrixCompression, Package, PackageReport, PackageWriter,
  PackageWriterInit, PackedTensor, PackOptions, UnitTensors, VerifiedFile, VerifyOptions
} from './model/index.ts'
export type {
  Architecture, CatalogueEntry, ChatMessage, EncodeOptions, FileDescription, GenerationDefaults, HubReference, ListedModel,
  Manifest, Model, OpenModelOptions, OpenProgress, PipReference, PullOptions, PullProgress, ResolveOptions, RopeScaling,
  TensorDescription, TensorRole, TensorSource, TensorType, TextStream, Tokenizer, UnitName, UnitRange, UnitSource
} from './model/index.ts'

// compression of a model into a package (docs/compression.md)
export { calibrationText, compressModel, defaultCalibrationText, measureModel, plotReport } from './svd/index.ts'
export type {
  BaseMode, BudgetPlan, CalibrationText, CompressInit, CompressionPlan, CompressOptions, CompressProgress, CompressReport, FixedPlan,
  MatrixMode, MatrixReport, MeasuredMatrix, MeasureInit, MeasureOptions, ModeLimit, RangeBudgetPlan, WindowOptions
} from './svd/index.ts'

// engines: `createEngine` serves, the other two check it
export { availableVariants, createEngine, createOracleEngine, createReferenceEngine, keyValueBytesPerPosition, unitName } from './engine/index.ts'
export type {
  AbortOptions, BatchItem, BatchResult, Engine, EngineInit, EngineProgress, OpenSessionOptions, ReferenceOptions,
  RowOutput, RowResult
} from './engine/index.ts'

// who hosts what: capacity by bytes, the split of a model over machines, places in a swarm; who runs what: routes
export {
  capacityOf, chooseHandOver, chooseRange, chooseRoute, createMeasurements, createPlacementState, decideMove, keyValuePositions, modelCosts,
  peerBytes, planSplit, rangeBytes, routeWork, totalWork, unitThroughput
} from './partition/index.ts'
export type {
  ChooseRangeInit, HandOver, HandOverInit, Measurements, NoRoute, OwnPlace, PlacementAction, PlacementRecord, PlacementState, PlacementStep,
  PlacementTiming, PlacementView, Route, RouteHolder, RouteRequest, RouteStage
} from './partition/index.ts'
export type {
  Capacity, CapacityInit, Machine, ModelCosts, Objective, PlannedStage, RangeBytes, SplitOptions, SplitPlan, UnitCost
} from './partition/index.ts'

// peers, routes and sessions
export {
  connectRoute, createLocalRoute, createLocalSession, createPeerNode, fetchManifest, fetchUnits, DEFAULT_DEADLINES, DEFAULT_LIMITS
} from './peer/index.ts'
export type {
  CandidateRecord, CandidateSource, ConnectRouteInit, Deadlines, FetchedUnits, FetchEvent, FetchInit, FetchUnitsInit, HandOverMode, HandOverReport, LocalRouteOptions, ModelIdentity, PeerEvent, PeerInfo, PeerLimits, PeerNode, PeerNodeInit,
  RouteProgress, RouteRepair, RouteSession, StageDescription, StepRequest, StepTimings
} from './peer/index.ts'

// text
export { generate, generateText, perplexity } from './peer/index.ts'
export type {
  GenerationEvent, GenerationInit, GenerationOptions, GenerationResult, GenerationSession, GenerationTimings,
  PerplexityOptions, PerplexityProgress, PerplexityResult, SamplingOptions, StopReason, StreamingTokenizer, TokenLogProbability
} from './peer/index.ts'

// errors; each has `code` and `retryable`
export {
  ChatTemplateError, ChecksumError, DiskSpaceError, DownloadInterruptedError, HubAccessError, HubNotFoundError,
  HubResponseError, HubUnreachableError, ManifestError, ModelFileError, ModelNotPresentError, ModelReferenceError,
  NoChatTemplateError, NonFiniteWeightError, NoPipError, PackageWriteError, PipError, PullCancelledError, PullError, TokenizerFormatError,
  UnitMissingError, UnknownModelError, UnsupportedModelError, UnsupportedTokenizerError, UnusableRepositoryError, WheelError
} from './model/index.ts'
export {
  ContextLengthError, EngineError, EngineStoppedError, InvalidBatchError, InvalidKeyValuesError, InvalidPrefixError,
  InvalidRangeError, KeyValueBudgetError, NotFiniteError, SessionBusyError, SessionLimitError, UnknownSessionError,
  UnsupportedModelError as UnsupportedByEngineError, UnsupportedProfileError, WorkerFailedError
} from './engine/index.ts'
export {
  BudgetTooSmallError, CalibrationMemoryError, CalibrationNotFiniteError, CalibrationTextTooShortError, CompressionOptionError,
  DecompositionError, InvalidProblemError, OtherSourceError, SvdError, WorkerCrashedError
} from './svd/index.ts'
export { InvalidMachineError, InvalidPlanOptionError, NoPlanError, PartitionError, ZeroCapacityError } from './partition/index.ts'
export {
  BlocksUnavailableError, CapacityError, DeadlineError, DialRefusedError, FrameError, FrameVersionError, IncompatibleVersionError,
  InvalidAddressError, InvalidOptionError, InvalidRequestError, InvalidRowResultError, KeyFileError, NotStartedError,
  NothingHostedError, OtherModelError, PeerError, PeerUnreachableError, PromptTooLongError, RangeGapError,
  RouteLostError, SessionClosedError, SessionEvictedError, StageError, StageFailedError, StageLostError, StageRefusedError,
  StageStalledError, TextTooShortError, WrongBytesError
} from './peer/index.ts'
