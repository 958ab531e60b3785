// Everything that Darkroom needs on Azure, in one resource group. `azd up` deploys it; docs/azure.md explains it.
// The event subscription comes after the code (event-subscription.bicep): it can only point at a function that exists.
targetScope = 'subscription'

@description('Name of the azd environment; part of every resource name.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Region. It must offer Functions Flex Consumption and Batch; see "Regions" in docs/azure.md.')
@metadata({ azd: { type: 'location' } })
param location string

@description('Object id of who deploys (azd sets it): may publish worker packages to the scripts container, nothing else.')
param principalId string

@description('Kind of that principal: User for a person, ServicePrincipal for a pipeline.')
@allowed(['User', 'ServicePrincipal', 'Group'])
param principalType string = 'User'

@description('Blob name of the worker package in the scripts container, worker-HASH.pyz. The pre-provision hook builds it and sets this.')
param workerPackage string

@description('Container image of the worker, REGISTRY/NAME@sha256:DIGEST. Empty: nodes run the package. See "Containers" in docs/azure.md.')
param workerImage string = ''

@description('Make a container registry (Premium where the network is private, else Standard) that the nodes may pull from.')
param containerRegistry bool = false

@description('Where alerts go. Empty: alerts are raised and shown in Azure Monitor, and nobody is mailed.')
param alertEmail string = ''

@description('Keep storage and Batch off the public internet: virtual network, private endpoints, nodes without public addresses.')
param privateNetwork bool = false

@description('IPv4 addresses or CIDR ranges, with commas between, that may reach the function app (page, status) and, in a private network, storage and Batch.')
param allowedIpAddresses string = ''

@description('Hierarchical namespace (ADLS Gen2) on the account that holds the images. Cannot be changed later; see "ADLS" in docs/azure.md.')
param hierarchicalNamespace bool = false

@description('Make a custom Event Grid topic and publish Darkroom.ManifestCompleted to it.')
param completionTopic bool = false

@description('Redundancy of the account that holds images and PNGs.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('Most instances of the function app, for each function.')
@minValue(1)
@maxValue(1000)
param functionMaxInstances int = 40

// Written by `python -m darkroom.deploy render` from infra/settings.json, after the application's own checks of it.
var settings = loadJsonContent('generated/settings.json')
var formula = loadTextContent('generated/formula.txt')
var permissions = loadJsonContent('permissions.json')

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var deadLetters = 'deadletters'
var addresses = empty(allowedIpAddresses) ? [] : split(allowedIpAddresses, ',')

resource rg 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  scope: rg
  params: {
    location: location
    tags: tags
    token: token
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: rg
  params: {
    location: location
    tags: tags
    token: token
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: rg
  params: {
    location: location
    tags: tags
    name: 'darkroom${token}'
    sku: storageSku
    hierarchicalNamespace: hierarchicalNamespace
    privateNetwork: privateNetwork
    allowedIpAddresses: addresses
    containers: [
      settings.IMAGES_CONTAINER
      settings.CONVERTED_CONTAINER
      settings.MANIFESTS_CONTAINER
      settings.OUTCOMES_CONTAINER
      settings.QUARANTINE_CONTAINER
      settings.SCRIPTS_CONTAINER
      deadLetters
    ]
    manifestsContainer: settings.MANIFESTS_CONTAINER
    outcomesContainer: settings.OUTCOMES_CONTAINER
    deadLettersContainer: deadLetters
    retentionDays: int(settings.RETENTION_DAYS)
  }
}

module hostStorage 'modules/host-storage.bicep' = {
  name: 'host-storage'
  scope: rg
  params: {
    location: location
    tags: tags
    name: 'host${token}'
    privateNetwork: privateNetwork
    principalId: identities.outputs.appPrincipalId
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: rg
  params: {
    location: location
    tags: tags
    token: token
    principalId: identities.outputs.appPrincipalId
  }
}

module batch 'modules/batch.bicep' = {
  name: 'batch'
  scope: rg
  params: {
    location: location
    tags: tags
    name: 'darkroom${token}'
    privateNetwork: privateNetwork
    allowedIpAddresses: addresses
    workspaceId: monitoring.outputs.workspaceId
  }
}

module registry 'modules/registry.bicep' = if (containerRegistry) {
  name: 'registry'
  scope: rg
  params: {
    location: location
    tags: tags
    name: 'darkroom${token}'
    privateNetwork: privateNetwork
    principalId: identities.outputs.nodePrincipalId
  }
}

module endpoints 'modules/private-endpoints.bicep' = if (privateNetwork) {
  name: 'private-endpoints'
  scope: rg
  params: {
    location: location
    tags: tags
    networkId: privateNetwork ? network.outputs.networkId : ''
    subnetId: privateNetwork ? network.outputs.endpointsSubnetId : ''
    storageId: storage.outputs.id
    hostStorageId: hostStorage.outputs.id
    batchId: batch.outputs.id
    registryId: containerRegistry ? registry.outputs.id : ''
  }
}

module pool 'modules/pool.bicep' = {
  name: 'pool'
  scope: rg
  params: {
    batchAccountName: batch.outputs.name
    poolId: settings.BATCH_POOL_ID
    vmSize: settings.POOL_VM_SIZE
    slotsPerNode: int(settings.POOL_SLOTS_PER_NODE)
    formula: formula
    evaluationInterval: 'PT${settings.POOL_EVALUATION_INTERVAL}M'
    identityId: identities.outputs.nodeId
    packageUrl: '${storage.outputs.blobEndpoint}${settings.SCRIPTS_CONTAINER}/${workerPackage}'
    packageName: workerPackage
    image: workerImage
    registryServer: containerRegistry ? registry.outputs.loginServer : ''
    subnetId: privateNetwork ? network.outputs.nodesSubnetId : ''
  }
  dependsOn: [
    containerGrants // the first node must be able to fetch the package
  ]
}

module topics 'modules/topics.bicep' = {
  name: 'topics'
  scope: rg
  params: {
    location: location
    tags: tags
    token: token
    storageId: storage.outputs.id
    storageName: storage.outputs.name
    deadLettersContainer: deadLetters
    identityId: identities.outputs.eventsId
    identityPrincipalId: identities.outputs.eventsPrincipalId
    completionTopic: completionTopic
    publisherPrincipalId: identities.outputs.appPrincipalId
  }
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  scope: rg
  params: {
    roles: permissions.roles
    suffix: environmentName
  }
}

var principals = {
  app: identities.outputs.appPrincipalId
  node: identities.outputs.nodePrincipalId
  deployer: principalId
}

module containerGrants 'modules/container-grant.bicep' = [for (grant, i) in permissions.containerGrants: {
  name: 'container-grant-${i}'
  scope: rg
  params: {
    accountName: storage.outputs.name
    container: settings[grant.container]
    principalId: principals[grant.identity]
    principalType: grant.identity == 'deployer' ? principalType : 'ServicePrincipal'
    roleKey: grant.role
    why: grant.why
  }
  dependsOn: [
    roles
  ]
}]

module batchGrants 'modules/batch-grant.bicep' = [for (grant, i) in permissions.batchGrants: {
  name: 'batch-grant-${i}'
  scope: rg
  params: {
    accountName: batch.outputs.name
    principalId: principals[grant.identity]
    roleKey: grant.role
    why: grant.why
  }
  dependsOn: [
    roles
  ]
}]

module app 'modules/function-app.bicep' = {
  name: 'function-app'
  scope: rg
  params: {
    location: location
    tags: tags
    name: 'darkroom-${token}'
    identityId: identities.outputs.appId
    identityClientId: identities.outputs.appClientId
    hostStorageName: hostStorage.outputs.name
    packageContainerUrl: hostStorage.outputs.packageContainerUrl
    insightsConnectionString: monitoring.outputs.connectionString
    maximumInstanceCount: functionMaxInstances
    allowedIpAddresses: addresses
    subnetId: privateNetwork ? network.outputs.appSubnetId : ''
    settings: union(settings, {
      STORAGE_ACCOUNT_URL: storage.outputs.blobEndpoint
      BATCH_ENDPOINT: batch.outputs.endpoint
      WORKER_PACKAGE: empty(workerImage) ? workerPackage : ''
      WORKER_COMMAND: empty(workerImage) ? 'python3 ${workerPackage}' : 'python3 -m worker'
      WORKER_IMAGE: workerImage
      WORKER_IDENTITY_CLIENT_ID: identities.outputs.nodeClientId
      WORKER_IDENTITY_RESOURCE_ID: identities.outputs.nodeId
      EVENTGRID_TOPIC_ENDPOINT: topics.outputs.completionEndpoint
    })
  }
  dependsOn: [
    batchGrants
    containerGrants
  ]
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: rg
  params: {
    location: location
    tags: tags
    token: token
    email: alertEmail
    workspaceId: monitoring.outputs.workspaceId
    systemTopicId: topics.outputs.systemTopicId
    batchAccountId: batch.outputs.id
  }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = rg.name
output AZURE_FUNCTION_APP string = app.outputs.name
output DARKROOM_PAGE string = app.outputs.url
output STORAGE_ACCOUNT string = storage.outputs.name
output STORAGE_ACCOUNT_URL string = storage.outputs.blobEndpoint
output SCRIPTS_CONTAINER string = settings.SCRIPTS_CONTAINER
output IMAGES_CONTAINER string = settings.IMAGES_CONTAINER
output EVENTS_IDENTITY_ID string = identities.outputs.eventsId
output SYSTEM_TOPIC string = topics.outputs.systemTopicName
output BATCH_ACCOUNT_NAME string = batch.outputs.name
output BATCH_ENDPOINT string = batch.outputs.endpoint
output BATCH_POOL_ID string = settings.BATCH_POOL_ID
output CONTAINER_REGISTRY string = containerRegistry ? registry.outputs.loginServer : ''
