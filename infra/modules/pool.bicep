// The pool: Spot nodes by our formula, a user-assigned identity, and the worker's package unpacked at boot.
param batchAccountName string
param poolId string

@description('VM size; x86-64, since the worker package holds libraries for it.')
param vmSize string

@description('Tasks that a node runs at once (POOL_SLOTS_PER_NODE). The formula below was built with the same number.')
param slotsPerNode int

@description('Autoscale formula, as pipeline/scaling.py builds it. Dispatch keeps the pool\'s in step afterwards.')
param formula string
param evaluationInterval string

@description('Resource id of the nodes\' identity.')
param identityId string

@description('URL of the worker package; fetched by the identity, no signature.')
param packageUrl string
param packageName string

@description('Container image; empty: nodes run the package.')
param image string

@description('Registry that the image comes from; empty: a public one.')
param registryServer string

@description('Subnet of the nodes; empty: Batch\'s own network, with public addresses that allow no inbound connection but SSH by a user whom nobody creates.')
param subnetId string

var containers = !empty(image)

// Ubuntu 24.04: Python 3.12, which the package's libraries are built for. microsoft-dsvm's image has the container runtime.
var plainImage = {
  publisher: 'canonical'
  offer: 'ubuntu-24_04-lts'
  sku: 'server'
  version: 'latest'
}
var containerImage = {
  publisher: 'microsoft-dsvm'
  offer: 'ubuntu-hpc'
  sku: '2404'
  version: 'latest'
}
var registries = empty(registryServer) ? [] : [
  {
    registryServer: registryServer
    identityReference: {
      resourceId: identityId
    }
  }
]
var containerConfiguration = {
  type: 'DockerCompatible'
  containerImageNames: [image]
  containerRegistries: registries
}
// Unpacks the package into the node's shared folder, once, and proves that it imports. Tasks find it there, or do the same.
var startTask = {
  commandLine: 'python3 ${packageName} --prepare'
  resourceFiles: [
    {
      httpUrl: packageUrl
      filePath: packageName
      identityReference: {
        resourceId: identityId
      }
    }
  ]
  userIdentity: {
    autoUser: {
      scope: 'Pool'
      elevationLevel: 'NonAdmin'
    }
  }
  maxTaskRetryCount: 3
  waitForSuccess: true
}

resource account 'Microsoft.Batch/batchAccounts@2025-06-01' existing = {
  name: batchAccountName
}

resource pool 'Microsoft.Batch/batchAccounts/pools@2025-06-01' = {
  parent: account
  name: poolId
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    vmSize: vmSize
    taskSlotsPerNode: slotsPerNode
    taskSchedulingPolicy: {
      nodeFillType: 'Pack' // full nodes first, so that others can go
    }
    interNodeCommunication: 'Disabled'
    deploymentConfiguration: {
      virtualMachineConfiguration: {
        imageReference: containers ? containerImage : plainImage
        nodeAgentSkuId: 'batch.node.ubuntu 24.04'
        containerConfiguration: containers ? containerConfiguration : null
      }
    }
    // This API version knows simplified node communication only: nodes call out to the service, nothing calls in.
    networkConfiguration: empty(subnetId) ? null : {
      subnetId: subnetId
      publicIPAddressConfiguration: {
        provision: 'NoPublicIPAddresses'
      }
    }
    scaleSettings: {
      autoScale: {
        formula: formula
        evaluationInterval: evaluationInterval
      }
    }
    startTask: containers ? null : startTask
  }
}

output name string = pool.name
